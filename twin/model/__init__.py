"""What flows through the twin, from the raw message to the event, and what a line is.

Import from the modules: ``message`` (entries of the journal), ``batch`` (columns of samples),
``event`` (what linetwin says), ``line`` (what ``line.toml`` may say), ``index`` (the same, flat).
"""
