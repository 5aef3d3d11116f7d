"""What the hub keeps and does for the voice front end, which has no database of its own.

::

    settings ──▶ profile      what a line needs to know of whose number was dialled
    numbers                   whose a number is
    call_pass                 lets a person's browser make one call
    callers, times            what the agent asks during a call
    tool_calls, recordings    what it leaves behind
    retention                 what is removed when its time is over
"""
