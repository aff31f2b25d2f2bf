"""The rules that turn an observation of a loop into findings: pure functions of plain numbers.

To add one, write a check in the file of its subject, add a ``Rule`` to ``evaluate.RULES`` and a page to
``doctor/pages``, and test it in ``tests/watching/test_rules.py``.
"""
