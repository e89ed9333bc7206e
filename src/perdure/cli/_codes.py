"""Exit codes."""

DONE = 0
FAILED = 1
BAD_INPUT = 2
SIGNALLED = 128  # and the number of the signal: 130 for Ctrl-C, 143 for SIGTERM
