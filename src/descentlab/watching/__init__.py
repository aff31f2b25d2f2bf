"""Watching anyone's PyTorch training loop: what went wrong in it, named, without a change to the run.

:func:`descentlab.watch` is the way in. Hooks look at what passes (``sight``), curvatures are measured on the loss's own
graph (``curvature``, ``limits``), and what was seen is judged only when somebody asks (``judge``, ``pace``).
"""
