"""Settings: all problems at once, files for secrets, and nothing secret in what is printed."""

from __future__ import annotations

import pytest

from voice.settings import SettingsProblem, load

ACCOUNT = "AC" + "0" * 32


def test_every_wrong_setting_is_named_at_once(monkeypatch):
    """One sentence each."""
    monkeypatch.setenv("AFTERBEEP_VOICE_PUBLIC_URL", "http://voice.example.com")
    monkeypatch.setenv("AFTERBEEP_VOICE_PORT", "99999")
    monkeypatch.setenv("AFTERBEEP_TWILIO_ACCOUNT_SID", "AC1")

    with pytest.raises(SettingsProblem) as problem:
        load()

    said = str(problem.value)
    assert "AFTERBEEP_VOICE_PUBLIC_URL must be an https address" in said
    assert "AFTERBEEP_VOICE_PORT" in said
    assert "AFTERBEEP_TWILIO_ACCOUNT_SID must be AC and 32" in said


def test_a_secret_may_stand_in_a_file(monkeypatch, tmp_path):
    """AFTERBEEP_…_FILE names it; a file that is missing is named."""
    (tmp_path / "key").write_text("the-key\n")
    monkeypatch.setenv("AFTERBEEP_ANTHROPIC_API_KEY_FILE", str(tmp_path / "key"))

    assert load().anthropic_api_key.get_secret_value() == "the-key"

    monkeypatch.setenv("AFTERBEEP_VOICE_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsProblem, match="AFTERBEEP_VOICE_TOKEN_FILE names"):
        load()


def test_no_secret_is_in_the_text_of_the_settings():
    """Whoever logs the settings gives nothing away."""
    made = load(
        twilio_account_sid=ACCOUNT,
        twilio_auth_tokens="hush-one,hush-two",
        twilio_signing_keys="key1:hush-three",
        voice_token="hush-four",
        anthropic_api_key="hush-five",
        redis_url="redis://:hush-six@localhost/0",
    )

    assert "hush" not in repr(made)
    assert made.auth_tokens == ("hush-one", "hush-two")
    assert made.signing_keys == {"key1": "hush-three"}


def test_plain_http_is_for_this_machine_only():
    """Twilio reaches nothing else without TLS."""
    assert load(voice_public_url="http://127.0.0.1:8090/").public_url == "http://127.0.0.1:8090"
    assert load(voice_public_url="https://v.example/x").public_socket_url == "wss://v.example/x"

    with pytest.raises(SettingsProblem):
        load(voice_public_url="https://v.example/?a=1")


def test_a_bad_signing_key_is_not_quoted():
    """The problem says what a key looks like, and not what was given."""
    with pytest.raises(SettingsProblem) as problem:
        load(twilio_signing_keys="hush")

    assert "hush" not in str(problem.value)
