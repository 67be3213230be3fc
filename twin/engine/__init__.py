"""The pipeline, and the thread that runs it over the journal.

``pipeline`` is the picture of the twin as code, a pure function of journal and configuration;
``store`` keeps events, alarms, snapshots and the cursor in one transaction; ``runner`` moves the
one over the other; ``view`` is what the board sees of it.
"""
