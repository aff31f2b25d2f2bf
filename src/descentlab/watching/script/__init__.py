"""Watches on the training loops of a script that is run as it is: ``descentlab diagnose loop.py``.

``source`` reads the script without running it, ``launcher`` runs it in a process of its own, ``loops`` watches each
optimizer that it creates, and ``report`` holds what was found.
"""

MAX_WATCHED_LOOPS = 8  # at the same time
