"""Mails by SMTP: plain text, one for each person who is told."""

from __future__ import annotations

import ipaddress
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from hub.settings import Settings

TIMEOUT_S: Final = 15
_PORTS: Final = {"smtp": 587, "smtps": 465}
_PERMANENT: Final = 500


class NotMailed(Exception):
    """The mail was not taken. ``is_final`` says that trying again would be refused again."""

    def __init__(self, message: str, *, is_final: bool = False, code: int | None = None) -> None:
        """Keep the server's reply code where there is one."""
        super().__init__(message)
        self.is_final = is_final
        self.code = code


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one person. ``key`` makes its Message-ID: the same mail sent twice is seen as one."""

    to: str
    subject: str
    text: str
    key: str


def send(settings: Settings, mail: Mail) -> None:
    """Hand a mail to the server of the settings; raises NotMailed."""
    if settings.smtp_url is None or settings.mail_from is None:
        raise NotMailed("Mail is not set up.")
    server = urlsplit(settings.smtp_url.get_secret_value())
    try:
        with _connected(server) as smtp:
            smtp.send_message(_message(mail, settings.mail_from))
    except smtplib.SMTPRecipientsRefused as err:
        code = next(iter(err.recipients.values()), (0, b""))[0]
        raise NotMailed(
            "The mail server refused the address.", is_final=code >= _PERMANENT, code=code
        ) from err
    except smtplib.SMTPResponseException as err:
        raise NotMailed("The mail server refused the mail.", code=err.smtp_code) from err
    except smtplib.SMTPException as err:
        raise NotMailed("The mail server did not take the mail.") from err
    except ssl.SSLError as err:
        raise NotMailed("The mail server's certificate is not valid.") from err
    except OSError as err:
        raise NotMailed("The mail server does not answer.") from err


def _connected(server: SplitResult) -> smtplib.SMTP:
    host, port = server.hostname or "", server.port or _PORTS[server.scheme]
    trust = ssl.create_default_context()
    smtp: smtplib.SMTP
    if server.scheme == "smtps":
        smtp = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=trust)
    else:
        smtp = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    try:
        smtp.ehlo()
        is_safe = server.scheme == "smtps"
        if not is_safe and smtp.has_extn("starttls"):
            smtp.starttls(context=trust)
            smtp.ehlo()
            is_safe = True
        if server.username:
            _log_in(smtp, server, is_safe=is_safe or _is_this_machine(host))
    except BaseException:
        smtp.close()
        raise
    return smtp


def _log_in(smtp: smtplib.SMTP, server: SplitResult, *, is_safe: bool) -> None:
    if not is_safe:
        raise NotMailed("The mail server offers no TLS, so that no password is sent.")
    smtp.login(unquote(server.username or ""), unquote(server.password or ""))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _message(mail: Mail, sender: str) -> EmailMessage:
    found = EmailMessage()
    found["From"] = f"Afterbeep <{sender}>"
    found["To"] = mail.to
    found["Subject"] = " ".join(mail.subject.split())
    found["Date"] = formatdate()
    found["Message-ID"] = f"<{mail.key}@{sender.rpartition('@')[2]}>"
    found["Auto-Submitted"] = "auto-generated"
    found.set_content(mail.text)
    return found
