"""The doctor: what gradient descent will do before it runs, and why it went wrong. It looks, and never touches.

One concern a file; :mod:`descentlab.doctor.diagnose` puts the findings together.
"""
