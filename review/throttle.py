"""Throttle: who guesses tokens waits, longer after each that was wrong."""

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FREE: Final = 5
"""Wrong tokens of an address before it waits."""
LONGEST: Final = 60.0
"""Seconds."""
_DOUBLINGS: Final = 6  # of one second, to more than the longest
_FORGOTTEN: Final = 600.0
_MOST: Final = 1000


@dataclass
class _Guesses:
    wrong: int
    last: float

    @property
    def until(self) -> float:
        """When the address may try again."""
        over = self.wrong - FREE
        return self.last + (min(2.0 ** min(over, _DOUBLINGS), LONGEST) if over >= 0 else 0.0)


class Throttle:
    """The wrong tokens of each address.

    Addresses are forgotten after ten minutes. As long as there are a thousand of them, a new one
    waits, too: what is kept is bounded, whoever asks.

    Parameters
    ----------
    clock : function
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guesses: dict[str, _Guesses] = {}

    def wait(self, address: str) -> float:
        """Return the seconds for which an address may not try a token; 0 where it may."""
        now, name = self._clock(), _network(address)
        self._forget(now)
        if name in self._guesses:
            return max(0.0, self._guesses[name].until - now)
        return LONGEST if len(self._guesses) >= _MOST else 0.0

    def wrong(self, address: str) -> None:
        """Count a wrong token."""
        guesses = self._guesses.setdefault(_network(address), _Guesses(0, 0.0))
        guesses.wrong += 1
        guesses.last = self._clock()

    def right(self, address: str) -> None:
        """Forget an address that had a token."""
        self._guesses.pop(_network(address), None)

    def _forget(self, now: float) -> None:
        old = [name for name, one in self._guesses.items() if one.last + _FORGOTTEN < now]
        for name in old:
            del self._guesses[name]


def _network(address: str) -> str:
    """Return what one owner has: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
