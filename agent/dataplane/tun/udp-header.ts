/** RFC 768: octets of the header, and offsets in it. */
export const UDP_HEADER_OCTETS = 8;
export const Udp = { length: 4, checksum: 6 } as const;
