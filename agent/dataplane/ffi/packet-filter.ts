import { errno, libc } from "./native.ts";
import { withScratch } from "./scratch.ts";

/*
 * Classic BPF (Linux Documentation/networking/filter): programs of a few lines with which the kernel sorts packets by their SPI before anyone reads them.
 * The remainder of the SPI says which of several workers a packet is for (agent/ipsec/inbound-share.ts).
 */
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_ATTACH_REUSEPORT_CBPF = 51;
/** Load a word, from an offset and from the index register and an offset; that register from an IPv4 header's length; remainder; compare; return. */
const Op = { LD_W_ABS: 0x20, LD_W_IND: 0x40, LDX_MSH: 0xb1, MOD: 0x94, JEQ: 0x15, RET_A: 0x16, RET: 0x06 } as const;
const WHOLE_PACKET = 0x4_0000;
const FPROG_OCTETS = 16;
const INSTRUCTION_OCTETS = 8;

type Instruction = readonly [operation: number, operand: number, ifTrue?: number, ifFalse?: number];

/**
 * Of a group of UDP sockets of one port: ESP goes to the socket of its SPI's worker, in the order in which they were bound. What has no SPI, a non-ESP
 * marker (0) or a keepalive (a load beyond the end gives 0), goes to the first. `fd`: any of the group. @throws Error with a sentence.
 */
export function spreadBySpi(fd: number, workers: number): void {
  attach(fd, SO_ATTACH_REUSEPORT_CBPF, [
    [Op.LD_W_ABS, 0],
    [Op.MOD, workers],
    [Op.RET_A, 0],
  ]);
}

/** Of a raw socket, each of which gets every packet: this worker's alone. `spiAt`: within ESP or AH. IPv4 packets come with their header. @throws as above. */
export function keepOwnSpis(fd: number, family: 4 | 6, spiAt: 0 | 4, worker: number, workers: number): void {
  const load: readonly Instruction[] =
    family === 6
      ? [[Op.LD_W_ABS, spiAt]]
      : [
          [Op.LDX_MSH, 0],
          [Op.LD_W_IND, spiAt],
        ];
  attach(fd, SO_ATTACH_FILTER, [...load, [Op.MOD, workers], [Op.JEQ, worker, 0, 1], [Op.RET, WHOLE_PACKET], [Op.RET, 0]]);
}

/** sock_fprog and sock_filter of linux/filter.h. */
function attach(fd: number, option: number, program: readonly Instruction[]): void {
  withScratch(FPROG_OCTETS + INSTRUCTION_OCTETS * program.length, (arena, at) => {
    const { view } = arena;
    view.setUint16(at, program.length, true);
    arena.writePointer(at + 8, at + FPROG_OCTETS);
    for (const [index, [operation, operand, ifTrue = 0, ifFalse = 0]] of program.entries()) {
      const here = at + FPROG_OCTETS + INSTRUCTION_OCTETS * index;
      view.setUint16(here, operation, true);
      view.setUint8(here + 2, ifTrue);
      view.setUint8(here + 3, ifFalse);
      view.setUint32(here + 4, operand, true);
    }
    if (libc.setsockopt(fd, SOL_SOCKET, option, arena.address + at, FPROG_OCTETS) !== 0)
      throw new Error(`the kernel does not sort packets by their SPI (errno ${errno()}): set gateway.inboundWorkers to 1`);
  });
}
