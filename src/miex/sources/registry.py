"""Every source of AUs by its name: classes of `AUSource`, or functions that return one."""

from __future__ import annotations

from miex.plugins import Registry

SOURCES = Registry(
    "AU source",
    "miex.sources",
    {
        "real_mie": "miex.sources.real_mie:RealMiESource",
        "early_mae": "miex.sources.early_mae:EarlyMaESource",
        "coded_mie": "miex.sources.coded_mie:CodedMiESource",
        "expert": "miex.sources.expert:ExpertSource",
    },
)
