"""Files that have an end: no pipe that waits for a writer, no device that never ends."""

from __future__ import annotations

import errno
import os
import stat


def only_regular(path: str, flags: int) -> int:
    """Open what is a regular file, or a link to one: an `opener` of `open`.

    Raises:
        OSError: it is a pipe, a socket or a device; IsADirectoryError: a folder.
    """
    # without waiting, and looked at when it is open: what the name means cannot change in between
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a pipe or a device, no file", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
