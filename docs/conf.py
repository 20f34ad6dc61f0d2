"""How Sphinx builds the documentation: `make docs`. Nothing is fetched while it does."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "miex"
author = "the authors of miex"
project_copyright = "the authors of miex"
version = release = version_of("miex")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "site_of_miex"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
exclude_patterns = ["_build", "_ext"]
suppress_warnings = ["myst.header"]  # pages that a benchmark wrote may begin their headings anywhere

autodoc_typehints = "none"  # docstrings say what arguments are; signatures with all their unions cannot be read
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"  # docstrings write `name`
# the pages of Python's objects are those of miex' public index alone: what their docstrings name beyond it is text
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "pydata_sphinx_theme"
html_title = "miex"
html_static_path = ["_static"]
html_css_files = ["miex.css"]
html_sidebars = {"how-to": []}  # a page without pages below it
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "miex"},
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "navigation_depth": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "github-dark",
}
