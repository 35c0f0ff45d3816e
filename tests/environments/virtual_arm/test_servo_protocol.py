"""Packets, checked against the byte layouts of Feetech's SDK."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robolearn.environments.virtual_arm.protocol import (
    BROADCAST,
    Decoder,
    Instruction,
    Packet,
    checksum,
    instruction_bytes,
    status_bytes,
)

PING = bytes.fromhex("ff ff 01 02 01 fb")
READ_POSITION = bytes.fromhex("ff ff 01 04 02 38 02 be")

packets = st.builds(
    Packet,
    id=st.integers(0, 0xFE),
    instruction=st.sampled_from(Instruction),
    parameters=st.binary(max_size=60),
)


def test_known_packets() -> None:
    assert instruction_bytes(Packet(1, Instruction.PING, b"")) == PING
    assert instruction_bytes(Packet(1, Instruction.READ, bytes((56, 2)))) == READ_POSITION
    # From Feetech's manual: the answer to the latter at 1000 steps.
    assert status_bytes(1, 0, (1000).to_bytes(2, "little")) == bytes.fromhex(
        "ff ff 01 04 00 e8 03 0f"
    )


def test_sdk_builds_the_same_packets() -> None:
    sdk = pytest.importorskip("scservo_sdk")

    sent: list[bytes] = []

    def write_port(packet: list[int]) -> int:
        sent.append(bytes(packet))
        return len(packet)

    wire = SimpleNamespace(
        is_using=False,
        clearPort=lambda: None,
        writePort=write_port,
        setPacketTimeout=lambda length: None,
    )
    handler = sdk.PacketHandler(0)
    handler.readTx(wire, 3, 56, 2)
    assert sent[-1] == instruction_bytes(Packet(3, Instruction.READ, bytes((56, 2))))
    wire.is_using = False
    handler.writeTxOnly(wire, 3, 42, 2, [0x34, 0x02])
    assert sent[-1] == instruction_bytes(Packet(3, Instruction.WRITE, bytes((42, 0x34, 0x02))))
    wire.is_using = False
    handler.regWriteTxOnly(wire, 3, 42, 2, [0x34, 0x02])
    assert sent[-1] == instruction_bytes(Packet(3, Instruction.REG_WRITE, bytes((42, 0x34, 0x02))))
    wire.is_using = False
    handler.syncReadTx(wire, 56, 2, [1, 2, 3], 3)
    assert sent[-1] == instruction_bytes(
        Packet(BROADCAST, Instruction.SYNC_READ, bytes((56, 2, 1, 2, 3)))
    )
    wire.is_using = False
    handler.syncWriteTxOnly(wire, 42, 2, [1, 0, 8, 2, 1, 8], 6)
    assert sent[-1] == instruction_bytes(
        Packet(BROADCAST, Instruction.SYNC_WRITE, bytes((42, 2, 1, 0, 8, 2, 1, 8)))
    )


@given(st.lists(packets, max_size=5), st.data())
def test_packets_arrive_in_any_pieces(sent: list[Packet], data: st.DataObject) -> None:
    stream = b"".join(map(instruction_bytes, sent))
    decoder, found = Decoder(), []
    while stream:
        length = data.draw(st.integers(1, len(stream)))
        found += decoder.feed(stream[:length])
        stream = stream[length:]
    assert found == sent
    assert decoder.damaged == 0


@given(st.binary(max_size=40))
def test_noise_raises_nothing(noise: bytes) -> None:
    decoder = Decoder()
    for packet in decoder.feed(noise):
        assert (
            checksum(
                bytes((packet.id, len(packet.parameters) + 2, packet.instruction))
                + packet.parameters
            )
            >= 0
        )
    decoder.forget()
    assert list(decoder.feed(PING)) == [Packet(1, Instruction.PING, b"")]


def test_damaged_packet_is_dropped_and_the_next_found() -> None:
    decoder = Decoder()
    wrong = PING[:-1] + b"\x00"
    assert list(decoder.feed(wrong + READ_POSITION)) == [
        Packet(1, Instruction.READ, bytes((56, 2)))
    ]
    assert decoder.damaged == 1


def test_header_of_three_bytes() -> None:
    assert list(Decoder().feed(b"\xff" + PING)) == [Packet(1, Instruction.PING, b"")]
