"""A shell whose commands use the session's servers and keys."""

from __future__ import annotations

import pytest

from hub.context import Hub
from hub.embedded import Services
from tests.cli.commands import Shell
from tests.e2e.installation import environment


@pytest.fixture
def shell(services: Services, hub: Hub) -> Shell:
    """Give a shell on the session's servers, with tables."""
    return Shell(
        environment(
            hub.settings.data_dir,
            AFTERBEEP_DATABASE_URL=services.database_url,
            AFTERBEEP_REDIS_URL=services.redis_url,
            AFTERBEEP_LOG_LEVEL="error",
        )
    )
