"""What can go wrong, and the two closed lists that describe a recording.

    MmerError
    ├── UsageError (ValueError)    the caller's arguments are off               exit code 2
    │   ├── ProfileError           an unknown or ill-typed profile key
    │   └── SourceError            a source, manifest or recording name that is not there
    ├── PreflightError             models, lake or space missing; nothing spent exit code 4
    ├── LakeError                  a lake that is locked, damaged or of another key
    ├── StoreError                 the lake's store failed during the run       exit code 5
    ├── SystematicFailureError          the recordings fail for one and the same reason exit code 1
    ├── LedgerError                a run whose seconds do not add up            exit code 1
    ├── TrainingError              a training that cannot go on                 exit code 1
    └── AudioError                 one recording is bad: a row in `recordings`, never an end of the job

A bug is any other exception and ends with exit code 1.
"""

from __future__ import annotations

from enum import StrEnum

MAX_MESSAGE_CHARS = 300


class ErrorCode(StrEnum):
    """Why a recording failed. The list is closed: dashboards and retry rules switch on it."""

    EMPTY_FILE = "empty_file"
    UNRECOGNISED = "unrecognised"
    FORBIDDEN_FORMAT = "forbidden_format"
    CORRUPT_HEADER = "corrupt_header"
    UNSUPPORTED_CODEC = "unsupported_codec"
    BAD_SAMPLE_RATE = "bad_sample_rate"
    BAD_CHANNELS = "bad_channels"
    NO_AUDIO_STREAM = "no_audio_stream"
    NO_SAMPLES = "no_samples"
    NON_FINITE = "non_finite"
    TOO_LONG = "too_long"
    FILE_TOO_BIG = "file_too_big"
    DECODE_ERROR = "decode_error"
    DECODE_TIMEOUT = "decode_timeout"
    DECODER_CRASH = "decoder_crash"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"
    NOT_FOUND = "not_found"
    NOT_A_FILE = "not_a_file"
    OUTSIDE_ROOT = "outside_root"
    SYMLINK_LOOP = "symlink_loop"
    PERMISSION = "permission"
    CHANGED_DURING_READ = "changed_during_read"
    IO_ERROR = "io_error"
    WORKER_CRASH = "worker_crash"
    INTERNAL = "internal"


RETRYABLE = frozenset(
    {
        ErrorCode.NOT_FOUND,
        ErrorCode.PERMISSION,
        ErrorCode.OUTSIDE_ROOT,
        ErrorCode.CHANGED_DURING_READ,
        ErrorCode.IO_ERROR,
        ErrorCode.KILLED,
        ErrorCode.WORKER_CRASH,
        ErrorCode.INTERNAL,
    }
)
"""Codes whose cause lies outside the bytes: the next run tries such a recording again. The others are
facts about the bytes and stay true until the file changes: `out_of_memory` is the decoder's own limit, `decode_timeout`
its CPU time. A decoder that the kernel ends for want of memory is `killed`; one that waits for a slow disk or store,
or for a CPU, is `io_error`."""


class Flag(StrEnum):
    """What is odd about a recording that was scored all the same."""

    TOO_SHORT = "too_short"
    TRUNCATED = "truncated"
    HEADER_FIXED = "header_fixed"
    MISLABELLED = "mislabelled"
    DECODE_WARN = "decode_warn"
    CHECKSUM = "checksum"
    FORMAT_CHANGE = "format_change"
    MULTI_TRACK = "multi_track"
    BAD_TIMESTAMPS = "bad_timestamps"
    OUT_OF_RANGE = "out_of_range"
    CLIPPED = "clipped"
    DC_OFFSET = "dc_offset"
    LOW_LEVEL = "low_level"
    NO_SPEECH = "no_speech"
    DROPOUT = "dropout"
    DEAD_CHANNEL = "dead_channel"
    ANTIPHASE = "antiphase"
    NARROWBAND = "narrowband"
    DOWNMIXED = "downmixed"
    TRANSCRIPT_MISMATCH = "transcript_mismatch"


class MmerError(Exception):
    """Base of everything this package raises on purpose."""


class UsageError(MmerError, ValueError):
    """The caller's arguments are off; the message names the argument and the remedy."""


class ProfileError(UsageError):
    """A profile has an unknown key or a value of the wrong kind."""


class SourceError(UsageError):
    """A source, a manifest or a recording's name cannot be resolved."""


class PreflightError(MmerError):
    """The job cannot start; nothing was computed. An argument for each thing that is in the way, one line each."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is in the way."""
        return tuple(str(problem) for problem in self.args)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class LakeError(MmerError):
    """The lake is locked by another writer, damaged, or made with another key."""


class StoreError(MmerError):
    """The lake's store failed during a run and kept failing. What was committed is intact; the same command goes on."""


class SystematicFailureError(MmerError):
    """A run was ended because its recordings fail for a reason that lies outside them; the message names it."""


class LedgerError(MmerError):
    """A run's seconds do not add up: a bug of ours. What was committed stays; the message has the sums."""


class TrainingError(MmerError):
    """A training cannot go on, such as after a loss that is no number; the message names utterances or the cause."""


class AudioError(MmerError):
    """One recording cannot be scored.

    `code` is from the closed list; the message has at most `MAX_MESSAGE_CHARS` characters.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message[:MAX_MESSAGE_CHARS])
        self.code = code

    @property
    def message(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[type[AudioError], tuple[ErrorCode, str]]:
        # The default would call AudioError(message) on unpickling and fail on the missing code.
        return AudioError, (self.code, self.message)
