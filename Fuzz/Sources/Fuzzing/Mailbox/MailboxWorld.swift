// The world of the target `mailbox`: firmware, and a hostile kernel that gives it pages and buffers of any state and contents.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

/// What commands of a hostile kernel work on.
public final class MailboxWorld: ScenarioWorld {
    let sealed: SealedWorld
    /// The frames that pages of the scenario are: a 2 MiB region, and one more.
    let pool: PFN
    static let pageCount: UInt64 = 1024
    /// The command buffer at the next command.
    var buffer = [UInt8](repeating: 0, count: 128)

    init(defects: KnownDefects) throws {
        sealed = try SealedWorld(dramByteCount: 24 << 20, defects: defects)
        guard let first = sealed.host.allocator.allocate(order: 9),
            let second = sealed.host.allocator.allocate(order: 9)
        else { throw Errno.noMemory }
        precondition(second.pfn == first.pfn + 512, "the pool is in one piece")
        pool = first.pfn
        sealed.seal()
    }

    func frame(_ page: UInt64) -> PFN { pool + page % Self.pageCount }

    /// Puts everything back.
    public func restore() {
        sealed.restore()
        buffer = [UInt8](repeating: 0, count: 128)
    }

    /// The first broken invariant of the RMP. The pool is the fuzzer's own.
    public func problem() -> String? { sealed.violation() }

    static let commands = FirmwareCommand.named + FirmwareCommand.legacyNamed

    static var operations: [Operation<MailboxWorld>] { bufferOperations + pageOperations }

    private static var bufferOperations: [Operation<MailboxWorld>] {
        [
            // A quadword of the command buffer, and one that is the address of a page.
            Operation("word", [.number("offset"), .number("value", 8)]) { world, a in
                world.store(a[1], at: Int(a[0]))
            },
            Operation("page-word", [.number("offset"), .number("page", 2), .number("low", 2)]) { world, a in
                world.store(world.frame(a[1]).address.rawValue | a[2] & 0xfff, at: Int(a[0]))
            },
            Operation("new-buffer", []) { world, _ in world.buffer = [UInt8](repeating: 0, count: 128) },
            // Sends a command with the buffer in a page.
            Operation(
                "send",
                [.choice("command", commands.map(\.name)), .number("page", 2), .number("offset", 2)]
            ) { world, a in
                world.send(commands[a.int(0)].command, world.frame(a[1]).address + (a[2] & 0xfff))
            },
            Operation("send-raw", [.number("command"), .number("address", 8)]) { world, a in
                world.send(FirmwareCommand(rawValue: UInt16(a[0])), SPA(a[1]))
            },
            Operation("poke", [.number("page", 2), .number("offset", 2), .number("value", 8)]) { world, a in
                let bytes = withUnsafeBytes(of: a[2].littleEndian) { Array($0) }
                try world.sealed.host.write(bytes, at: world.frame(a[0]).address + min(a[1] & 0xfff, 4088))
            },
            Operation(
                "poke-page", [.number("page", 2), .number("offset", 2), .number("target", 2), .number("low", 2)]
            ) { world, a in
                let value = world.frame(a[2]).address.rawValue | a[3] & 0xfff
                let bytes = withUnsafeBytes(of: value.littleEndian) { Array($0) }
                try world.sealed.host.write(bytes, at: world.frame(a[0]).address + min(a[1] & 0xfff, 4088))
            },
            Operation("copy", [.number("from", 2), .number("to", 2)]) { world, a in
                let bytes = try world.sealed.host.read(world.frame(a[0]).address, count: 4096)
                try world.sealed.host.write(bytes, at: world.frame(a[1]).address)
            },
            Operation("flush", []) { world, _ in try world.sealed.host.flushASIDs() },
        ]
    }

    private static var pageOperations: [Operation<MailboxWorld>] {
        [
            Operation(
                "rmpupdate",
                [
                    .number("page", 2), .choice("to", ["hypervisor", "firmware", "pre-guest", "guest", "reclaim"]),
                    .number("asid", 2), .number("gfn", 5), .choice("size", ["4K", "2M"]),
                ]
            ) { world, a in
                let state = RMPUpdateState(
                    gpa: GPA(a[3] << 12), assigned: a.isSet(1), pageSize: a.isSet(4) ? .size2M : .size4K,
                    immutable: a[1] == 1 || a[1] == 2, asid: ASID(a[1] == 2 || a[1] == 3 ? UInt32(a[2]) : 0))
                try world.sealed.machine.rmp.rmpUpdate(world.frame(a[0]).address, to: state)
            },
            Operation(
                "rmpupdate-raw",
                [
                    .number("address", 8), .number("gpa", 8), .number("assigned"), .number("size"),
                    .number("immutable"), .number("asid", 4),
                ]
            ) { world, a in
                let state = RMPUpdateState(
                    gpa: GPA(a[1]), assigned: a[2] & 1 == 1, pageSize: a[3] & 1 == 1 ? .size2M : .size4K,
                    immutable: a[4] & 1 == 1, asid: ASID(UInt32(a[5])))
                let pfn = SPA(a[0]).frame
                // Frames that are not the fuzzer's are left alone: the host would break itself.
                guard pfn >= world.pool, pfn < world.pool + pageCount || !world.sealed.machine.rmp.covers(pfn) else {
                    return
                }
                try world.sealed.machine.rmp.rmpUpdate(SPA(a[0]), to: state)
            },
            Operation("psmash", [.number("page", 2)]) { world, a in
                try world.sealed.machine.rmp.psmash(world.frame(a[0]).address)
            },
            Operation(
                "pvalidate",
                [
                    .number("page", 2), .number("asid", 2), .number("gfn", 5), .choice("size", ["4K", "2M"]),
                    .choice("to", ["valid", "invalid"]),
                ]
            ) { world, a in
                let size: PageSize = a.isSet(3) ? .size2M : .size4K
                let page = GuestPage(
                    gpa: GPA(a[2] << 12), pfn: world.frame(a[0]), level: a.isSet(3) ? .level2M : .level4K)
                _ = try world.sealed.machine.rmp.pvalidate(
                    page, size: size, validate: !a.isSet(4), asid: ASID(UInt32(a[1])), vmpl: .vmpl0)
            },
        ]
    }

    private func store(_ value: UInt64, at offset: Int) {
        for byte in 0..<8 where offset + byte < buffer.count {
            buffer[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))
        }
    }

    /// Writes the buffer, as far as the host can, and rings the mailbox.
    private func send(_ command: FirmwareCommand, _ address: SPA) {
        let pfn = address.frame
        if pfn >= pool, pfn < pool + Self.pageCount {
            let count = min(buffer.count, 4096 - Int(address.rawValue & 0xfff))
            try? sealed.host.write(buffer[..<count], at: address)
        }
        let mailbox = sealed.machine.mailbox
        mailbox.writeAddress(address)
        mailbox.writeCommand(UInt32(command.rawValue & 0xff) << 16)
    }
}
