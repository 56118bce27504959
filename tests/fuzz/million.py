"""A million hostile frames, and after them a coverage-guided run if atheris is installed (pip install atheris).

    python tests/fuzz/million.py [--frames 1000000] [--seed 1] [--guided 100000]

Exit status 0 if nothing raised and no packet without the right digest changed anything; otherwise 1, and the frame in
hexadecimal on standard error.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

LIFE = 20_000
"""Frames that one node lives through, before another one with another start takes its place."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def by_chance(frames: int, seed: int) -> int:
    """Structured mutation.  0, or 1 after the first failure."""
    from hostile import SYSTEMS, Judge, Mutator

    mutator = Mutator(seed)
    outcomes: Counter[str] = Counter()
    begun = time.perf_counter()
    done = 0
    life = 0
    while done < frames:
        judge = Judge(*SYSTEMS[life % len(SYSTEMS)], seed=seed + life)
        for _ in range(min(LIFE, frames - done)):
            frame = mutator.frame()
            try:
                judge.try_frame(frame)
            except Exception as error:  # noqa: BLE001 - any exception at all is the finding
                sys.stderr.write(f"{judge.system}: {type(error).__name__}: {error}\n{frame.hex()}\n")
                return 1
            done += 1
        outcomes.update(judge.outcomes)
        life += 1
    took = time.perf_counter() - begun
    say(f"by chance: {done} frames in {took:.0f} s, {done / took:.0f} a second, {life} nodes: {dict(outcomes)}")
    return 0


def guided(runs: int, seed: int) -> None:
    """Coverage-guided; atheris ends the process itself.  The first byte chooses what is mended and who receives."""
    import atheris  # type: ignore[import-untyped,unused-ignore]  # optional: stubs exist for nobody

    with atheris.instrument_imports(include=["bsdcarp.carp", "hostile"]):
        import hostile

        from bsdcarp.carp import Family

    judges = [hostile.Judge(*system) for system in hostile.SYSTEMS]

    def one(data: bytes) -> None:
        if not data:
            return
        frame = bytearray(data[1:])
        judge = judges[data[0] % len(judges)]
        if data[0] & 0x80 and len(frame) > 14:
            hostile.mend(frame)
        judge.try_frame(bytes(frame))
        judge.try_payload(bytes(frame), Family.IPV6 if data[0] & 0x40 else Family.IPV4, 255)

    inputs = HERE.parent.parent / "build" / "fuzz-corpus"
    inputs.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(hostile.corpus()):
        (inputs / f"seed-{number}").write_bytes(bytes([0x80 | number % 64]) + frame)
    atheris.Setup([sys.argv[0], f"-runs={runs}", f"-seed={seed}", "-max_len=160", "-verbosity=1", str(inputs)], one)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description="hostile frames for the CARP core")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", type=int, default=100_000, metavar="RUNS", help="0: no coverage-guided run")
    parser.add_argument("--only-guided", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only_guided:
        guided(chosen.guided, chosen.seed)
        return 0
    if by_chance(chosen.frames, chosen.seed):
        return 1
    if not chosen.guided or importlib.util.find_spec("atheris") is None:
        say("no coverage-guided run: atheris is not installed" if chosen.guided else "no coverage-guided run")
        return 0
    command = [sys.executable, __file__, "--only-guided", "--guided", str(chosen.guided), "--seed", str(chosen.seed)]
    begun = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    lines = ended.stderr.splitlines()
    if ended.returncode:
        sys.stderr.write("\n".join(lines[-40:]) + "\n")
        return 1
    coverage = [line.split("corp:")[0].strip() for line in lines if "cov:" in line][-1:]
    say(f"coverage-guided: {chosen.guided} inputs in {took:.0f} s, {chosen.guided / took:.0f} a second; {coverage}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
