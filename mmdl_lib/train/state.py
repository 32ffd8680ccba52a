"""Checkpoints: whole or not there, checked when read, and refused for another run."""

import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any

import torch

HEAD = b"mmdl fit 1\n"


class Checkpoint:
    """A file from which a run goes on as if it had never stopped.

    The file holds a SHA-256 of its content, so that one flipped bit is noticed. It is
    written beside and then renamed, so that a reader never sees half of it. What can
    run code when it is loaded is refused.

    Args:
        path: the file, or None for none.
        every: steps between two writings; the last step is always written.
        settings: what must be equal for a run to go on, by name.
        parts: what is kept, by name: anything with a state dict, or None.
        writes: whether this process writes.

    Raises:
        OSError: the file cannot be written there.
    """

    def __init__(self, path, every: int, settings: dict, parts: dict, *, writes: bool):
        self.path = None if path is None else Path(path)
        self.every, self.settings, self.writes = every, settings, writes
        self.parts = {name: part for name, part in parts.items() if part is not None}
        if self.path is not None and writes:
            self._sweep()

    def due(self, done: int) -> bool:
        """Whether to write after so many steps."""
        ends = done == self.settings["steps"]
        return self.path is not None and (done % self.every == 0 or ends)

    def resume(self) -> tuple[int, dict[str, list[float]]]:
        """Load the parts; the number of steps done, and the losses so far.

        Raises:
            ValueError: a damaged file, or one of a run with other settings.
        """
        if self.path is None or not self.path.exists():
            return 0, {}
        state = _read(self.path)
        other = difference(self.settings, state["settings"])
        if other is not None:
            raise ValueError(
                f"expected a checkpoint of the same run in {self.path}, got one with "
                f"{other}: delete it or name another file."
            )
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        return state["step"], state["losses"]

    def write(self, done: int, losses: dict[str, list[float]]) -> None:
        """Keep the state after so many steps.

        Raises:
            OSError: there is no room, or the place is gone.
        """
        if not self.writes:
            return
        state = {"step": done, "losses": losses, "settings": self.settings}
        state["parts"] = {name: part.state_dict() for name, part in self.parts.items()}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self._replace(_sealed(buffer.getvalue()))

    def _replace(self, content: bytes) -> None:
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
        except OSError as error:
            raise OSError(_no_place(self.path)) from error
        finally:
            part.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what killed runs left, and see whether the place can be written."""
        try:
            for file in self.path.parent.iterdir():
                if re.fullmatch(rf"{re.escape(self.path.name)}\.\d+\.part", file.name):
                    file.unlink()
            trial = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise OSError(_no_place(self.path)) from error
        if self.path.is_dir():
            raise OSError(_no_place(self.path))


def _no_place(path: Path) -> str:
    return (
        f"expected a place for checkpoints that can be written, got {path}: name "
        "another one or make room."
    )


def _sealed(content: bytes) -> bytes:
    return HEAD + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _read(path: Path) -> dict:
    try:
        file = path.read_bytes()
        content = file[len(HEAD) + 65 :]
        if file != _sealed(content):
            raise ValueError("its checksum is another one")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"expected a checkpoint of fit() in {path}, which cannot be read: delete "
            "it to start again."
        ) from error


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """The first setting that differs, in words; None where all are equal."""
    for name in {**ours, **theirs}:
        here, there = ours.get(name), theirs.get(name)
        if here != there:
            return f"{name} {there!r:.80} instead of {here!r:.80}"
    return None
