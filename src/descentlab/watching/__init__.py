"""Watching a PyTorch training loop: mistakes in it are found and named, without a change to its result.

:func:`descentlab.watch` is the entry. Hooks (``hooks``) report to a recorder (``recorder``), curvature is measured on
the graph of the loss (``curvature``), ``observe`` turns what was recorded into plain numbers, and ``rules`` turns those
into findings when the watch is printed or asked.
"""
