#include "textflag.h"

// Of each three bytes a b c, b a c b: each 16 bits have two digits of 6 bits.
DATA sextets<>+0x00(SB)/8, $0x0405030401020001
DATA sextets<>+0x08(SB)/8, $0x0a0b090a07080607

// Where the first digit of each pair is, and what moves it into its byte: the
// high half of a product.
DATA sextets<>+0x10(SB)/8, $0x0fc0fc000fc0fc00
DATA sextets<>+0x18(SB)/8, $0x0fc0fc000fc0fc00
DATA sextets<>+0x20(SB)/8, $0x0400004004000040
DATA sextets<>+0x28(SB)/8, $0x0400004004000040

// Likewise for the second one, by the low half.
DATA sextets<>+0x30(SB)/8, $0x003f03f0003f03f0
DATA sextets<>+0x38(SB)/8, $0x003f03f0003f03f0
DATA sextets<>+0x40(SB)/8, $0x0100001001000010
DATA sextets<>+0x48(SB)/8, $0x0100001001000010
GLOBL sextets<>(SB), RODATA|NOPTR, $80

// The digits' ranges: 51 are letters, the first 26 are capitals, whose range is
// the 13th.
DATA ranges<>+0x00(SB)/8, $0x3333333333333333
DATA ranges<>+0x08(SB)/8, $0x3333333333333333
DATA ranges<>+0x10(SB)/8, $0x1a1a1a1a1a1a1a1a
DATA ranges<>+0x18(SB)/8, $0x1a1a1a1a1a1a1a1a
DATA ranges<>+0x20(SB)/8, $0x0d0d0d0d0d0d0d0d
DATA ranges<>+0x28(SB)/8, $0x0d0d0d0d0d0d0d0d

// What is to be added in each range: 'a'-26; ten times '0'-52; '+'-62; '/'-63;
// 'A'.
DATA ranges<>+0x30(SB)/8, $0xfcfcfcfcfcfcfc47
DATA ranges<>+0x38(SB)/8, $0x000041f0edfcfcfc
GLOBL ranges<>(SB), RODATA|NOPTR, $64

// func encodeSSSE3(dst, p *byte, groups int)
//
// The way is Wojciech Muła's (http://0x80.pl/notesen/2016-01-12-sse-base64-encoding.html).
TEXT ·encodeSSSE3(SB), NOSPLIT, $0-24
	MOVQ  dst+0(FP), DI
	MOVQ  p+8(FP), SI
	MOVQ  groups+16(FP), CX
	MOVOU sextets<>+0x00(SB), X7
	MOVOU sextets<>+0x10(SB), X8
	MOVOU sextets<>+0x20(SB), X9
	MOVOU sextets<>+0x30(SB), X10
	MOVOU sextets<>+0x40(SB), X11
	MOVOU ranges<>+0x00(SB), X12
	MOVOU ranges<>+0x10(SB), X13
	MOVOU ranges<>+0x20(SB), X14
	MOVOU ranges<>+0x30(SB), X15

next:
	MOVOU   (SI), X0
	PSHUFB  X7, X0
	MOVO    X0, X1
	PAND    X8, X1
	PMULHUW X9, X1
	PAND    X10, X0
	PMULLW  X11, X0
	POR     X1, X0 // 16 digits
	MOVO    X0, X1
	PSUBUSB X12, X1
	MOVO    X13, X2
	PCMPGTB X0, X2
	PAND    X14, X2
	POR     X2, X1 // their ranges
	MOVO    X15, X2
	PSHUFB  X1, X2
	PADDB   X2, X0
	MOVOU   X0, (DI)
	ADDQ    $12, SI
	ADDQ    $16, DI
	DECQ    CX
	JNZ     next
	RET

// func hasSSSE3() bool
TEXT ·hasSSSE3(SB), NOSPLIT, $0-1
	MOVL $1, AX
	XORL CX, CX
	CPUID
	SHRL $9, CX
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET
