#include "textflag.h"

DATA bounds<>+0x00(SB)/8, $0x1f1f1f1f1f1f1f1f // the last control character
DATA bounds<>+0x08(SB)/8, $0x1f1f1f1f1f1f1f1f
DATA bounds<>+0x10(SB)/8, $0x2222222222222222 // the quotation mark
DATA bounds<>+0x18(SB)/8, $0x2222222222222222
DATA bounds<>+0x20(SB)/8, $0x5c5c5c5c5c5c5c5c // the backslash
DATA bounds<>+0x28(SB)/8, $0x5c5c5c5c5c5c5c5c
GLOBL bounds<>(SB), RODATA|NOPTR, $48

// func escapeSSE2(dst, text *byte, blocks int, sequences *[256]uint64) (written int)
//
// A block is stored as it is. If bytes in it don't stand for themselves, then
// for each of them, in order: what is before it is stored once more, where it
// belongs by now, and its sequence behind that; and so is what follows the last.
// Each store is of a whole block or sequence, and the next one begins where that
// one's bytes end.
TEXT ·escapeSSE2(SB), NOSPLIT, $0-40
	MOVQ  dst+0(FP), DI
	MOVQ  text+8(FP), SI
	MOVQ  blocks+16(FP), CX
	MOVQ  sequences+24(FP), R8
	MOVOU bounds<>+0x00(SB), X1
	MOVOU bounds<>+0x10(SB), X2
	MOVOU bounds<>+0x20(SB), X3

next:
	MOVOU    (SI), X0
	MOVOU    X0, (DI)
	MOVO     X0, X4
	MOVO     X0, X5
	MOVO     X0, X6
	PMINUB   X1, X4
	PCMPEQB  X0, X4
	PCMPEQB  X2, X5
	PCMPEQB  X3, X6
	POR      X5, X4
	POR      X6, X4
	PMOVMSKB X4, AX
	TESTL    AX, AX
	JNZ      special
	ADDQ     $16, SI
	ADDQ     $16, DI
	DECQ     CX
	JNZ      next
	JMP      done

special:
	XORQ R9, R9 // where the bytes that stand for themselves begin

one:
	BSFL    AX, BX
	MOVOU   (SI)(R9*1), X0
	MOVOU   X0, (DI)
	SUBQ    R9, DI
	ADDQ    BX, DI
	MOVBLZX (SI)(BX*1), R10
	MOVQ    (R8)(R10*8), R11
	MOVQ    R11, (DI)
	SHRQ    $56, R11
	ADDQ    R11, DI
	LEAQ    1(BX), R9
	LEAL    -1(AX), R12
	ANDL    R12, AX
	JNZ     one
	MOVOU   (SI)(R9*1), X0
	MOVOU   X0, (DI)
	ADDQ    $16, DI
	SUBQ    R9, DI
	ADDQ    $16, SI
	DECQ    CX
	JNZ     next

done:
	SUBQ dst+0(FP), DI
	MOVQ DI, written+32(FP)
	RET
