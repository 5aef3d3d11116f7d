"""The demonstration: a sample tenant, vendors in miniature, and voicemails played through the real way in.

::

    run ─▶ vendors   sandboxes as processes, and the settings that point at them
        ─▶ house     the sample tenant, its owner and an API key
        ─▶ connect   OAuth through each vendor's authorise page, presets as mappings
        ─▶ play      analyse → CloudEvent → POST /v1/events, and wait until all has landed
        ─▶ report    what landed where, for people and for machines
"""
