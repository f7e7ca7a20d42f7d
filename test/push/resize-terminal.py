"""A person at a terminal whose window grows: runs the command in argv, a remote shell, and exits with its status."""
import fcntl
import os
import pty
import struct
import sys
import termios


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def until(text: bytes) -> None:
    global seen
    while text not in seen:
        seen += os.read(fd, 4096)
    seen = seen.split(text, 1)[1]


seen = b""
pid, fd = pty.fork()
if pid == 0:
    set_size(0, 33, 101)
    os.execvp(sys.argv[1], sys.argv[1:])
until(b"#")
for size in ((33, 101), (40, 120)):
    set_size(fd, *size)
    # The quotes keep the echo of the typed line from looking like the answer.
    os.write(fd, b"until test \"$(stty size)\" = '%d %d'; do :; done; echo fol''lowed\n" % size)
    until(b"followed")
os.write(fd, b"exit 6\n")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
