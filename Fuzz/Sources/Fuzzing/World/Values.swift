// Values of fields that are not any number.

internal import SNPArchitecture

/// A VMPL from a number.
func vmpl(_ number: UInt64) -> VMPL { VMPL(rawValue: UInt8(number & 3)) ?? .vmpl0 }
