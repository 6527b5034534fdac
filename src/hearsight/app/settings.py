"""Limits for visitors of the page."""

from dataclasses import dataclass

from hearsight.errors import HearsightError


@dataclass(frozen=True)
class Settings:
    """Address and limits of the page.

    Attributes:
        host, port: address of the server.
        password: password for visitors; None for none.
        largest_mb: size limit of an upload, in millions of bytes.
        longest_s: longest duration of a clip, in seconds.
        clips_per_hour: number of clips that one address may upload; None for any number.
        most_clips: number of clips stored at a time, of all visitors.
        kept_s: time after which an unused clip is deleted.
        workers: number of jobs computed at a time.
        longest_job_s: time after which a job is aborted, so that waiting ones get their turn.
        behind_proxy: whether a proxy names the client's address in `X-Forwarded-For`.

    Raises:
        HearsightError: a value that is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    password: str | None = None
    largest_mb: float = 500.0
    longest_s: float = 300.0
    clips_per_hour: int | None = 60
    most_clips: int = 60
    kept_s: float = 3600.0
    workers: int = 1
    longest_job_s: float = 600.0
    behind_proxy: bool = False

    def __post_init__(self) -> None:
        for name in ("largest_mb", "longest_s", "most_clips", "kept_s", "workers", "longest_job_s"):
            if not getattr(self, name) > 0:
                raise HearsightError(f"{name} must be above 0")
        if self.password == "":
            raise HearsightError("the password is empty; give one, or leave it out")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        return self.host in LOCAL


LOCAL = ("127.0.0.1", "localhost", "::1")
