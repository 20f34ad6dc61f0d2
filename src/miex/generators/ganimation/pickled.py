"""What a file of torch asks for, told without executing it: names it would import, and sizes it claims.

A file of `torch.save` is a pickle, which is a program, beside the numbers of its tensors. The program is only listed
here (`pickletools`). A file that lists nothing but tensors may go to `torch.load(weights_only=True)`, which has checks
of its own.
"""

from __future__ import annotations

import io
import pickletools
import zipfile

# All that a table of tensors needs; torch writes nothing else for one.
_HARMLESS = {
    "collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
    *(f"torch.{kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int")),
}  # fmt: skip
# Other ways to call something. torch writes none of them.
_CALLS = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
# The file's form before torch 1.6: pickles of a magic number, a version, facts of the machine, the tensors, and the
# names of their numbers, which follow.
_OLD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLES, _TENSORS = 5, 3


def is_torch(content: bytes) -> bool:
    """Whether the content begins as a file of `torch.save` does, today's (a zip) or that of before torch 1.6."""
    return content.startswith((b"PK\x03\x04", _OLD))


def objections(content: bytes) -> list[str]:
    """Why a file of torch must not be loaded, in words; nothing if it lists tensors alone.

    The sizes that it claims are at most its own, so that loading it takes no more memory than the file is long.
    """
    try:
        if content.startswith(_OLD):
            file = io.BytesIO(content)
            return [text for i in range(_PICKLES) for text in _listed(file, len(content) if i == _TENSORS else None)]
        return _zipped(content)
    except Exception as error:  # damaged files fail in any way they like
        return [f"it is damaged: {error or type(error).__name__}"]


def _zipped(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = file.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            return ["it is compressed, which torch never does: what it unpacks to is unknown"]
        if sum(part.file_size for part in parts) > len(content):
            return ["its parts claim more bytes than the file has"]
        programs = [part for part in parts if part.filename.rpartition("/")[2] == "data.pkl"]
        if len(programs) != 1:
            return [f"it holds {len(programs)} tables of tensors (data.pkl) instead of one"]
        return _listed(io.BytesIO(file.read(programs[0])), len(content))


def _listed(file: io.BytesIO, most: int | None) -> list[str]:
    """The objections to the next pickle of a file; `most`: the largest number in it, None: any."""
    found: dict[str, None] = {}
    said: list[str] = []  # the last two texts name what STACK_GLOBAL imports
    for operation, value, _ in pickletools.genops(file):
        if isinstance(value, str):
            said = [*said[-1:], value]
        if operation.name == "GLOBAL" and (name := str(value).replace(" ", ".")) not in _HARMLESS:
            found[f"it would run {name}"] = None
        elif operation.name in _CALLS:
            name = ".".join(said) if operation.name == "STACK_GLOBAL" else operation.name
            found[f"it would run {name}"] = None
        elif most is not None and isinstance(value, int) and value > most:
            found[f"it claims a size of {value:,}, and the file has {most:,} bytes"] = None
    return list(found)
