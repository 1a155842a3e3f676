// Programs of operations on one virtual machine: what they consist of, how they print, how a seed makes one.

import ReferenceModel
import SNPArchitecture
import Scheduling

/// One operation of a program.
enum ProgramOperation: CustomStringConvertible {
    case back(BackingPage, order: UInt8)
    case allocate(file: Int, Range<UInt64>)
    case convert(Range<GFN>, isPrivate: Bool, InjectedFailure?)
    case punchHole(file: Int, Range<UInt64>, InjectedFailure?)
    case fault(GFN, isPrivate: Bool, rmpBit: Bool, InjectedFailure?)
    case validate(GFN, PageSize, value: Bool)

    var description: String {
        switch self {
        case .back(let page, let order): "back file \(page.file) page \(page.index) order \(order)"
        case .allocate(let file, let range): "allocate file \(file) \(range)"
        case .convert(let range, let isPrivate, let failure):
            "\(isPrivate ? "private" : "shared") \(range)\(words(failure))"
        case .punchHole(let file, let range, let failure): "punch file \(file) \(range)\(words(failure))"
        case .fault(let gfn, let isPrivate, let rmpBit, let failure):
            "fault \(gfn) \(isPrivate ? "private" : "shared")\(rmpBit ? " rmp" : "")\(words(failure))"
        case .validate(let gfn, let size, let value): "pvalidate \(gfn) \(size) \(value)"
        }
    }

    private func words(_ failure: InjectedFailure?) -> String {
        failure.map { " [\($0.instruction) fails from call \($0.call)\($0.isLasting ? " on" : "")]" } ?? ""
    }
}

/// The slots and files that every program works on.
enum ProgramLayout {
    /// Slot 0 agrees with its file modulo 2 MiB; slot 1, right behind it, does not; slot 2 agrees but starts in the middle of
    /// 2 MiB; slot 3 can have no private pages.
    static let slots = [
        ModelSlot(frames: GFN(0x1000)..<GFN(0x1400), backing: BackingPage(file: 0, index: 0)),
        ModelSlot(frames: GFN(0x1400)..<GFN(0x1680), backing: BackingPage(file: 1, index: 3)),
        ModelSlot(frames: GFN(0x2007)..<GFN(0x2500), backing: BackingPage(file: 2, index: 7)),
        ModelSlot(frames: GFN(0x3000)..<GFN(0x3010), backing: nil),
    ]
    static let filePageCounts: [UInt64] = [1024, 700, 1300]
    static let folioOrders: [UInt8] = [9, 9, 5]
}

/// Draws programs from a seed.
struct ProgramGenerator {
    var entropy: EntropySource
    let allowsFailures: Bool

    init(seed: UInt64, allowsFailures: Bool) {
        entropy = EntropySource(seed: seed)
        self.allowsFailures = allowsFailures
    }

    mutating func number(_ range: Range<UInt64>) -> UInt64 { UInt64.random(in: range, using: &entropy) }
    mutating func chance(_ oneIn: UInt64) -> Bool { number(0..<oneIn) == 0 }

    /// The next operation.
    mutating func next() -> ProgramOperation {
        switch number(0..<18) {
        case 0..<5: return back()
        case 5:
            let file = Int(number(0..<3))
            return .allocate(file: file, pages(of: file))
        case 6..<11: return .convert(frames(), isPrivate: number(0..<5) < 3, failure())
        case 11:
            let file = Int(number(0..<3))
            return .punchHole(file: file, pages(of: file), failure())
        case 12..<14: return .fault(frame(), isPrivate: number(0..<4) > 0, rmpBit: false, failure())
        case 14: return .fault(frame(), isPrivate: true, rmpBit: true, failure())
        case _:
            let size: PageSize = chance(2) ? .size4K : .size2M
            let gfn = frame()
            return .validate(chance(8) ? gfn : gfn.aligned(down: size), size, value: !chance(4))
        }
    }

    private mutating func back() -> ProgramOperation {
        let file = Int(number(0..<3))
        let order = chance(2) ? 9 : UInt8(number(0..<10))
        let count = UInt64(1) << UInt64(order)
        let places = ProgramLayout.filePageCounts[file] / count
        return .back(BackingPage(file: file, index: number(0..<places) * count), order: order)
    }

    private mutating func pages(of file: Int) -> Range<UInt64> {
        let count = ProgramLayout.filePageCounts[file]
        if chance(3) {
            let block = number(0..<count / 512 + 1) * 512
            return block..<block + 512
        }
        let low = number(0..<count)
        return low..<low + 1 + (chance(2) ? number(0..<16) : number(0..<700))
    }

    private mutating func frame() -> GFN {
        let slot = ProgramLayout.slots[chance(24) ? 3 : Int(number(0..<3))]
        let count = UInt64(slot.frames.count)
        let gfn = slot.frames.lowerBound + number(0..<count)
        return chance(40) ? GFN(number(0..<0x4000)) : gfn
    }

    /// Guest frames, often at or near 2 MiB boundaries, sometimes over two slots.
    private mutating func frames() -> Range<GFN> {
        var low = frame()
        if chance(2) { low = max(low.aligned(down: .size2M), GFN(0x1000)) }
        if chance(6) { low = GFN(low.rawValue + number(0..<3)) }
        let lengths: [UInt64] = [1, 2, 512, 512, 1024, 1280, number(1..<600), number(1..<40)]
        return low..<(low + lengths[Int(number(0..<8))])
    }

    private mutating func failure() -> InjectedFailure? {
        guard allowsFailures, chance(4) else { return nil }
        return InjectedFailure(
            chance(3) ? .psmash : .rmpUpdate, call: Int(number(1..<(chance(2) ? 4 : 300))), isLasting: chance(3))
    }
}
