// One 8259A: eight requests, fixed priorities that may rotate, and the sequence of its initialisation words.

/// A programmable interrupt controller.
///
/// - Spec: Intel 8259A
/// - Deviates: 8080 mode and the special fully nested mode are not modelled; the poll command reads like an acknowledge
struct InterruptController {
    private(set) var requests: UInt8 = 0
    private(set) var inService: UInt8 = 0
    private(set) var mask: UInt8 = 0xff
    private var levels: UInt8 = 0
    private var vectorBase: UInt8 = 0
    /// The next initialisation word that port 1 expects; 0 when initialised.
    private var expectedWord = 0
    private var needsFourthWord = false
    private var isSingle = false
    private var isLevelTriggered = false
    private var endsAutomatically = false
    private var rotatesOnAutomaticEnd = false
    private var isSpecialMask = false
    private var readsInService = false
    private var polls = false
    /// The request with the lowest priority; 7 unless rotated.
    private var lowest: UInt8 = 7
    /// Lines that are level triggered whatever the first word says: the edge/level control register.
    var levelControl: UInt8 = 0

    private func isLevel(_ bit: UInt8) -> Bool { isLevelTriggered || levelControl & bit != 0 }

    /// A line changes.
    mutating func drive(_ line: Int, _ level: Bool) {
        let bit: UInt8 = 1 << UInt8(line)
        let wasHigh = levels & bit != 0
        if level { levels |= bit } else { levels &= ~bit }
        if isLevel(bit) {
            if level { requests |= bit } else { requests &= ~bit }
        } else if level, !wasHigh {
            requests |= bit
        } else if !level {
            requests &= ~bit
        }
    }

    /// The request that would be served now, or nil.
    var pending: Int? {
        let candidates = requests & ~mask
        for step in 1...8 as ClosedRange<UInt8> {
            let line = (lowest &+ step) & 7
            let bit: UInt8 = 1 << line
            if inService & bit != 0, !isSpecialMask { return nil }
            if candidates & bit != 0, inService & bit == 0 { return Int(line) }
        }
        return nil
    }

    /// Takes the request into service and gives its vector. Without a request it is the spurious one, line 7.
    mutating func acknowledge() -> (line: Int, vector: UInt8) {
        guard let line = pending else { return (7, vectorBase | 7) }
        let bit: UInt8 = 1 << UInt8(line)
        if !isLevel(bit) { requests &= ~bit }
        if endsAutomatically {
            if rotatesOnAutomaticEnd { lowest = UInt8(line) }
        } else {
            inService |= bit
        }
        return (line, vectorBase | UInt8(line))
    }

    /// Reads port 0, or port 1.
    mutating func read(isData: Bool) -> UInt8 {
        if polls {
            polls = false
            guard pending != nil else { return 0 }
            return 0x80 | UInt8(acknowledge().line)
        }
        if isData { return mask }
        return readsInService ? inService : requests
    }

    /// Writes port 0, or port 1.
    mutating func write(isData: Bool, _ value: UInt8) {
        if isData {
            writeData(value)
        } else if value & 0x10 != 0 {
            initialize(value)
        } else if value & 0x08 != 0 {
            writeThirdCommand(value)
        } else {
            writeSecondCommand(value)
        }
    }

    /// ICW1.
    private mutating func initialize(_ value: UInt8) {
        let kept = (levels, levelControl)
        self = InterruptController()
        (levels, levelControl) = kept
        mask = 0
        needsFourthWord = value & 1 != 0
        isSingle = value & 2 != 0
        isLevelTriggered = value & 8 != 0
        expectedWord = 2
    }

    /// ICW2 to ICW4, or OCW1.
    private mutating func writeData(_ value: UInt8) {
        switch expectedWord {
        case 2:
            vectorBase = value & 0xf8
            expectedWord = isSingle ? (needsFourthWord ? 4 : 0) : 3
        case 3: expectedWord = needsFourthWord ? 4 : 0
        case 4:
            endsAutomatically = value & 2 != 0
            expectedWord = 0
        default: mask = value
        }
    }

    /// OCW2: ends of interrupts, and rotation.
    private mutating func writeSecondCommand(_ value: UInt8) {
        let level = value & 7
        switch value >> 5 {
        case 0: rotatesOnAutomaticEnd = false
        case 1: end(highestInService, rotates: false)
        case 3: end(level, rotates: false)
        case 4: rotatesOnAutomaticEnd = true
        case 5: end(highestInService, rotates: true)
        case 6: lowest = level
        case 7: end(level, rotates: true)
        default: break
        }
    }

    /// OCW3: which register is read, special mask, poll.
    private mutating func writeThirdCommand(_ value: UInt8) {
        if value & 0x04 != 0 { polls = true }
        if value & 0x02 != 0 { readsInService = value & 1 != 0 }
        if value & 0x40 != 0 { isSpecialMask = value & 0x20 != 0 }
    }

    private var highestInService: UInt8? {
        (1...8 as ClosedRange<UInt8>).map { (lowest &+ $0) & 7 }.first { inService & 1 << $0 != 0 }
    }

    private mutating func end(_ line: UInt8?, rotates: Bool) {
        guard let line else { return }
        inService &= ~(1 << line)
        if rotates { lowest = line }
    }
}

/// The two interrupt controllers of a PC: the second's output is request 2 of the first.
public final class InterruptControllerPair: PortDevice {
    private static let cascade = 2

    /// 0x20, 0x21, 0xa0, 0xa1 and the two edge/level registers.
    public let ports: [ClosedRange<UInt16>] = [0x20...0x21, 0xa0...0xa1, 0x4d0...0x4d1]
    /// The processor's interrupt pin.
    public let interrupt = OutputLine()
    private var first = InterruptController()
    private var second = InterruptController()

    /// Makes two controllers that mask everything.
    public init() {}

    /// Drives one of the 16 request lines.
    ///
    /// - Precondition: the line is in 0 to 15, and not 2
    public func drive(_ line: Int, _ level: Bool) {
        precondition((0..<16).contains(line) && line != Self.cascade, "no such request line")
        if line < 8 { first.drive(line, level) } else { second.drive(line - 8, level) }
        update()
    }

    /// Whether a line is masked; one of the second controller also when the cascade is.
    public func isMasked(_ line: Int) -> Bool {
        guard line >= 8 else { return first.mask >> UInt8(line & 7) & 1 != 0 }
        return second.mask >> UInt8(line & 7) & 1 != 0 || first.mask >> UInt8(Self.cascade) & 1 != 0
    }

    /// The processor acknowledges an interrupt and gets its vector.
    public func acknowledge() -> UInt8 {
        defer { update() }
        let (line, vector) = first.acknowledge()
        guard line == Self.cascade else { return vector }
        return second.acknowledge().vector
    }

    /// IN.
    public func read(_ port: UInt16, byteCount: Int) -> UInt32 {
        defer { update() }
        switch port {
        case 0x20, 0x21: return UInt32(first.read(isData: port & 1 != 0))
        case 0xa0, 0xa1: return UInt32(second.read(isData: port & 1 != 0))
        case 0x4d0: return UInt32(first.levelControl)
        default: return UInt32(second.levelControl)
        }
    }

    /// OUT.
    public func write(_ port: UInt16, byteCount: Int, _ value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        switch port {
        case 0x20, 0x21: first.write(isData: port & 1 != 0, value)
        case 0xa0, 0xa1: second.write(isData: port & 1 != 0, value)
        // The timer, the keyboard, the cascade, the clock and the coprocessor are edge triggered for good.
        case 0x4d0: first.levelControl = value & 0xf8
        default: second.levelControl = value & 0xde
        }
        update()
    }

    private func update() {
        first.drive(Self.cascade, second.pending != nil)
        interrupt.drive(first.pending != nil)
    }
}
