// The registers of x87: the stack, the control, status and tag words, and the environment as FNSTENV and FNSAVE store it.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

/// Bits of the status word.
enum X87Status {
    static let summary: UInt16 = 0x8080
    static let c0: UInt16 = 0x100
    static let c1: UInt16 = 0x200
    static let c2: UInt16 = 0x400
    static let c3: UInt16 = 0x4000
    static let conditions: UInt16 = 0x4700
}

extension X86Processor {
    var x87Control: UInt16 {
        get { core.word(CoreLayout.x87Control) }
        set { core.setWord(CoreLayout.x87Control, newValue & 0x1f7f | 0x40) }
    }
    var x87Status: UInt16 {
        get { core.word(CoreLayout.x87Status) }
        set { core.setWord(CoreLayout.x87Status, newValue) }
    }
    /// A bit for each register that is not empty.
    var x87Tag: UInt8 {
        get { UInt8(truncatingIfNeeded: core.word(CoreLayout.x87Tag)) }
        set { core.setWord(CoreLayout.x87Tag, UInt16(newValue)) }
    }
    var x87Opcode: UInt16 {
        get { core.word(CoreLayout.x87Opcode) }
        set { core.setWord(CoreLayout.x87Opcode, newValue & 0x7ff) }
    }

    var x87Top: Int {
        get { Int(x87Status >> 11 & 7) }
        set { x87Status = x87Status & ~0x3800 | UInt16(newValue & 7) << 11 }
    }

    /// ES and B follow the exceptions that are raised and not masked.
    func summariseX87() {
        let isPending = x87Status & ~x87Control & 0x3f != 0
        x87Status = x87Status & ~X87Status.summary | (isPending ? X87Status.summary : 0)
    }

    // MARK: The stack

    /// A register by its own number.
    func x87Physical(_ number: Int) -> ExtendedFloat {
        let offset = CoreLayout.x87Registers + (number & 7) * 16
        return ExtendedFloat(
            significand: core[offset], signAndExponent: UInt16(truncatingIfNeeded: core[offset + 8]))
    }
    func setX87Physical(_ number: Int, _ value: ExtendedFloat) {
        let offset = CoreLayout.x87Registers + (number & 7) * 16
        core[offset] = value.significand
        core[offset + 8] = UInt64(value.signAndExponent)
    }

    func isEmptyX87(_ index: Int) -> Bool { x87Tag >> UInt8((x87Top + index) & 7) & 1 == 0 }
    /// ST(index), whether empty or not.
    func x87Value(_ index: Int) -> ExtendedFloat { x87Physical(x87Top + index) }
    func setX87Value(_ index: Int, _ value: ExtendedFloat) {
        setX87Physical(x87Top + index, value)
        x87Tag |= 1 << UInt8((x87Top + index) & 7)
    }
    func freeX87(_ index: Int) { x87Tag &= ~(1 << UInt8((x87Top + index) & 7)) }
    func popX87() {
        freeX87(0)
        x87Top += 1
    }
    func pushX87(_ value: ExtendedFloat) {
        x87Top += 7
        setX87Value(0, value)
    }

    func initialiseX87() {
        x87Control = 0x37f
        x87Status = 0
        x87Tag = 0
        x87Opcode = 0
        core[CoreLayout.x87Instruction] = 0
        core[CoreLayout.x87Data] = 0
    }

    // MARK: The environment

    /// The tag word with two bits for each register.
    var x87FullTag: UInt16 {
        var result: UInt16 = 0
        for number in 0..<8 {
            var tag: UInt16 = 3
            if x87Tag >> UInt8(number) & 1 != 0 {
                switch x87Physical(number).kind {
                case .normal: tag = 0
                case .zero: tag = 1
                default: tag = 2
                }
            }
            result |= tag << UInt16(2 * number)
        }
        return result
    }

    private func setX87FullTag(_ value: UInt16) {
        var result: UInt8 = 0
        for number in 0..<8 where value >> UInt16(2 * number) & 3 != 3 { result |= 1 << UInt8(number) }
        x87Tag = result
    }

    private func environmentByteCount(_ i: Instruction) -> Int { i.width == .word ? 14 : 28 }

    /// The bytes of FNSTENV, in the form of the mode and the operand size.
    ///
    /// - Spec: APM1 6.2.5; APM5 FNSTENV
    private func environment(_ i: Instruction) -> [UInt8] {
        let isWide = i.width != .word
        let (pointer, data) = (core[CoreLayout.x87Instruction], core[CoreLayout.x87Data])
        var words: [UInt16] = [x87Control, x87Status, x87FullTag]
        func word(_ value: UInt64, _ shift: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: value >> shift) }
        if isProtected {
            // Code and data selectors are not kept any more.
            words += isWide ? [word(pointer, 0), word(pointer, 16), 0, x87Opcode] : [word(pointer, 0), 0]
            words += isWide ? [word(data, 0), word(data, 16), 0] : [word(data, 0), 0]
        } else if isWide {
            words += [word(pointer, 0), 0, word(pointer, 4) & 0xf000 | x87Opcode, word(pointer, 20) & 0xfff]
            words += [word(data, 0), 0, word(data, 4) & 0xf000]
        } else {
            words += [word(pointer, 0), word(pointer, 4) & 0xf000 | x87Opcode, word(data, 0), word(data, 4) & 0xf000]
        }
        func bytes(_ words: ArraySlice<UInt16>) -> [UInt8] {
            words.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        }
        guard isWide else { return bytes(words[...]) }
        let head = words[..<3].flatMap { bytes([$0, 0xffff]) }
        return head + bytes(words[3...]) + (isProtected ? [0xff, 0xff] : [0, 0])
    }

    private func setEnvironment(_ bytes: [UInt8], _ i: Instruction) {
        let isWide = i.width != .word
        func word(_ index: Int) -> UInt16 { UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8 }
        let stride = isWide ? 4 : 2
        x87Control = word(0)
        x87Status = word(stride)
        setX87FullTag(word(2 * stride))
        summariseX87()
        let at = 3 * stride
        if isProtected {
            let high = isWide ? UInt64(word(at + 2)) << 16 : 0
            core[CoreLayout.x87Instruction] = UInt64(word(at)) | high
            if isWide { x87Opcode = word(at + 6) }
            let data = at + 2 * stride
            core[CoreLayout.x87Data] = UInt64(word(data)) | (isWide ? UInt64(word(data + 2)) << 16 : 0)
        } else {
            let second = word(at + stride)
            core[CoreLayout.x87Instruction] = UInt64(word(at)) | UInt64(second & 0xf000) << 4
            x87Opcode = second
            let data = at + 2 * stride
            core[CoreLayout.x87Data] = UInt64(word(data)) | UInt64(word(data + stride) & 0xf000) << 4
        }
    }

    /// FNSTENV and FNSAVE.
    func storeX87Environment(_ i: Instruction, withRegisters: Bool) throws(Interruption) {
        var bytes = environment(i)
        if withRegisters {
            for index in 0..<8 { bytes += Self.bytes(x87Value(index)) }
        }
        try writeLinear(linear(of: i, .write, count: bytes.count), bytes)
        if withRegisters { initialiseX87() } else { x87Control |= 0x3f }
        summariseX87()
    }

    /// FLDENV and FRSTOR.
    func loadX87Environment(_ i: Instruction, withRegisters: Bool) throws(Interruption) {
        let count = environmentByteCount(i)
        let total = count + (withRegisters ? 80 : 0)
        let bytes = try readLinear(linear(of: i, .read, count: total), total)
        setEnvironment(bytes, i)
        guard withRegisters else { return }
        for index in 0..<8 {
            setX87Physical(x87Top + index, Self.extended(Array(bytes[count + index * 10..<count + index * 10 + 10])))
        }
    }

    /// The ten bytes of a number in memory.
    static func bytes(_ value: ExtendedFloat) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value.significand >> UInt64(8 * $0)) }
            + [UInt8(truncatingIfNeeded: value.signAndExponent), UInt8(value.signAndExponent >> 8)]
    }
    static func extended(_ bytes: [UInt8]) -> ExtendedFloat {
        ExtendedFloat(
            significand: (0..<8).reduce(0) { $0 | UInt64(bytes[$1]) << UInt64(8 * $1) },
            signAndExponent: UInt16(bytes[8]) | UInt16(bytes[9]) << 8)
    }
}
