import { createInterface } from "node:readline";
import koffi from "koffi";

/*
 * Runs in "the internet" and answers each line on standard input with {"other", "protected"}: how many packets passed that were
 * neither IKE nor ESP, and how many were. Two packet sockets (packet(7)) with a filter each; the kernel counts what they let
 * through, so that no packet is copied here and none is missed at any rate.
 */
const libc = koffi.load(null);
const socketCall = libc.func("int socket(int domain, int type, int protocol)");
const setOption = libc.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t length)");
const getOption = libc.func("int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint8_t *length)");
const addressOf = libc.func("uintptr_t memset(uint8_t *buffer, int value, size_t length)");

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 0x0003;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;

/** One instruction of classic BPF: operation, jump if true, jump if false, operand. */
type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, operand: number];

const loadHalf = 0x28;
const loadByte = 0x30;
const loadHeaderLength = 0xb1;
const loadHalfIndexed = 0x48;
const jumpIfEqual = 0x15;
const jumpIfSet = 0x45;
const accept = 0x06;

/**
 * ESP (IP protocol 50), or UDP to or from port 500 or 4500: IKE, and ESP in UDP (RFC 3948). A later fragment has no ports and
 * counts as neither. `matched` and `unmatched` are 0 to drop and 1 to count.
 */
function filterProgram(matched: number, unmatched: number): readonly Instruction[] {
  return [
    [loadHalf, 0, 0, 12],
    [jumpIfEqual, 0, 13, 0x0800],
    [loadByte, 0, 0, 23],
    [jumpIfEqual, 10, 0, 50],
    [jumpIfEqual, 0, 10, 17],
    [loadHalf, 0, 0, 20],
    [jumpIfSet, 8, 0, 0x1fff],
    [loadHeaderLength, 0, 0, 14],
    [loadHalfIndexed, 0, 0, 14],
    [jumpIfEqual, 4, 0, 500],
    [jumpIfEqual, 3, 0, 4_500],
    [loadHalfIndexed, 0, 0, 16],
    [jumpIfEqual, 1, 0, 500],
    [jumpIfEqual, 0, 1, 4_500],
    [accept, 0, 0, matched],
    [accept, 0, 0, unmatched],
  ];
}

/** A packet socket that sees every device of this namespace through the filter. Throws with errno when the kernel refuses. */
function openCounter(program: readonly Instruction[]): number {
  const fd: number = socketCall(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) throw new Error(`a packet socket could not be opened (errno ${koffi.errno()})`);
  const code = new Uint8Array(program.length * 8);
  const codeView = new DataView(code.buffer);
  for (const [index, [operation, jumpTrue, jumpFalse, operand]] of program.entries()) {
    codeView.setUint16(index * 8, operation, true);
    codeView.setUint8(index * 8 + 2, jumpTrue);
    codeView.setUint8(index * 8 + 3, jumpFalse);
    codeView.setUint32(index * 8 + 4, operand, true);
  }
  // struct sock_fprog: a count, and a pointer after padding. `code` stays referenced until the call has returned.
  const header = new Uint8Array(16);
  const view = new DataView(header.buffer);
  view.setUint16(0, program.length, true);
  view.setBigUint64(8, BigInt(addressOf(code, code[0] ?? 0, 0)), true);
  if (setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length) !== 0)
    throw new Error(`the packet filter was refused (errno ${koffi.errno()}, ${code.length} octets)`);
  bindToAllProtocols(fd);
  return fd;
}

/** The socket is opened for no protocol and bound after its filter is there: nothing unfiltered is ever counted. */
function bindToAllProtocols(fd: number): void {
  const bindCall = libc.func("int bind(int fd, const uint8_t *address, uint32_t length)");
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL, false);
  if (bindCall(fd, address, address.length) !== 0) throw new Error(`the packet socket could not be bound (errno ${koffi.errno()})`);
}

/** Reading tpacket_stats also sets it to zero; `tp_packets` includes those dropped for lack of room, which is what is wanted. */
function countSince(fd: number): number {
  const statistics = new Uint8Array(8);
  const length = new Uint8Array([8, 0, 0, 0]);
  if (getOption(fd, SOL_PACKET, PACKET_STATISTICS, statistics, length) !== 0) throw new Error(`the packet count could not be read (errno ${koffi.errno()})`);
  return new DataView(statistics.buffer).getUint32(0, true);
}

const others = openCounter(filterProgram(0, 1));
const protectedOnes = openCounter(filterProgram(1, 0));
const totals = { other: 0, protected: 0 };
process.stdout.write("ready\n");
for await (const _ of createInterface({ input: process.stdin })) {
  totals.other += countSince(others);
  totals.protected += countSince(protectedOnes);
  process.stdout.write(`${JSON.stringify(totals)}\n`);
}
