"""Places in senders' chains, and many of them as one value: what is recorded of blobs that were taken.

    link link link | link link      two rows of links, each link the next of the one before
    strand(1..3)     strand(7..8)   two strands: where each begins, and 16 bytes for each blob

seen(chains, strands) -> the chains with all these places seen
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.sync.chain import ChainView, receive_row

HASH_BYTES = 16
MAX_CHAINS = 16  # of one device: one for each store it lost. With more, a member could fill the others' memory

ChainKey: TypeAlias = tuple[bytes, bytes]  # (sender, chain_id)


@dataclass(frozen=True, slots=True)
class Link:
    """Where a taken blob stands in its sender's chain."""

    sender: bytes
    chain: Chain
    sealed_hash: bytes  # 16 bytes


@dataclass(frozen=True, slots=True)
class Strand:
    """Blobs that follow each other in one chain. hashes: of each, 16 bytes, one after the other."""

    sender: bytes
    first: Chain
    hashes: bytes

    @property
    def row(self) -> list[bytes]:
        return [self.hashes[at : at + HASH_BYTES] for at in range(0, len(self.hashes), HASH_BYTES)]


def strands(links: Iterable[Link]) -> tuple[Strand, ...]:
    """The same places, with what follows from the one before left out."""
    found: list[Strand] = []
    hashes: list[bytes] = []
    first: Link | None = None
    last: Link | None = None
    for link in links:
        if first is not None and last is not None:
            here, there = link.chain, last.chain
            if (
                here.seq == there.seq + 1
                and here.prev == last.sealed_hash
                and here.chain_id == there.chain_id
                and link.sender == last.sender
            ):
                hashes.append(link.sealed_hash)
                last = link
                continue
            found.append(Strand(first.sender, first.chain, b"".join(hashes)))
        first = last = link
        hashes = [link.sealed_hash]
    if first is not None:
        found.append(Strand(first.sender, first.chain, b"".join(hashes)))
    return tuple(found)


def seen(chains: Mapping[ChainKey, ChainView], places: Iterable[Strand]) -> Mapping[ChainKey, ChainView]:
    """The chains with these places seen."""
    after = dict(chains)
    for strand in places:
        key = (strand.sender, strand.first.chain_id)
        hear(after, key, receive_row(after.get(key), strand.first, strand.row))
    return after


def unseen(chains: Mapping[ChainKey, ChainView], places: Iterable[Strand]) -> tuple[Strand, ...]:
    """Those of the places that would change something."""
    return tuple([strand for strand in places if _is_news(chains.get((strand.sender, strand.first.chain_id)), strand)])


def _is_news(view: ChainView | None, strand: Strand) -> bool:
    return receive_row(view, strand.first, strand.row) != view


def hear(chains: dict[ChainKey, ChainView], key: ChainKey, view: ChainView) -> None:
    """This chain looks like this now, and is the one heard of last. Of a device with too many, the one that was not
    heard of for longest is forgotten: what stands in it may come again."""
    if chains.pop(key, None) is None:
        sender = [known for known in chains if known[0] == key[0]]
        for known in sender[: max(len(sender) - MAX_CHAINS + 1, 0)]:
            del chains[known]
    chains[key] = view
