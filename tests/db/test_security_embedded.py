"""Embedded servers on a machine that other people use too."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from hub import embedded
from hub.context import Hub
from hub.settings import SettingsProblem, load


def test_data_folder_is_its_users_alone(tmp_path: Path) -> None:
    """The folder with the master key and the sockets is made for nobody else."""
    folder = tmp_path / "var"

    embedded.start(
        load(data_dir=folder, database_url="postgresql://elsewhere.example/x", redis_url=None)
    ).stop()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_postgresql_is_its_users_alone(hub: Hub) -> None:
    """It trusts whoever reaches its socket, so nobody else does: now, and when it is started again."""
    with hub.engine.connect() as connection:
        place = connection.connection.driver_connection.info
        kept = connection.execute(
            text("select setting from pg_file_settings where name = 'unix_socket_permissions'")
        ).scalars()

        assert list(kept) == ["0700"]
    mode = Path(place.host, f".s.PGSQL.{place.port}").stat().st_mode
    assert stat.S_IMODE(mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a socket of another user")
def test_redis_of_another_user_is_not_believed(tmp_path: Path) -> None:
    """Workers do what their Redis says, so a socket that another user left in our place is refused."""
    with socket.socket(socket.AF_UNIX) as planted:
        planted.bind(str(tmp_path / "redis.sock"))
        os.chown(tmp_path / "redis.sock", 65_534, 65_534)

        with pytest.raises(SettingsProblem, match="another user"):
            embedded.start(
                load(
                    data_dir=tmp_path,
                    database_url="postgresql://elsewhere.example/x",
                    redis_url=None,
                )
            )
