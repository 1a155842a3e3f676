// Builds the situation that a row of the access table describes: one frame, its mapping and its RMP entry.

import Machine
import SNPArchitecture
import Testing

/// One frame, in a 2 MiB region of its own, seen by a guest, by the host and by devices.
struct AccessFixture {
    static let asid = ASID(5)
    static let plaintext = [UInt8]("sixteen bytes..!".utf8)

    let base: TableFixture
    let nested: PageTable
    let direct: PageTable
    let guest: GuestAccess
    let host: HostAccess
    let device: DeviceAccess
    let pfn: PFN
    let gpa: GPA

    init(mapping: String, rmp: String, vmpl: VMPL, privilege: GuestPrivilege) throws {
        base = try TableFixture()
        nested = try base.makeTable()
        direct = try base.makeTable()
        // The RMP covers 252 MiB; the frame is the sixth of its region. The guest sees it one GiB further up.
        pfn = PFN((rmp == "uncovered" ? 300 : 32) << 8 + 5)
        gpa = GPA((1 << 30) + pfn.rawValue << 12)
        let key = base.memory.encryption.installKey((0..<16).map { UInt8($0 ^ 0x5a) }, for: Self.asid)
        guest = GuestAccess(
            memory: base.memory, rmp: base.rmp, epochs: base.epochs,
            context: RunningGuest(asid: Self.asid, vmpl: vmpl, nestedRoot: nested.root, key: key))
        guest.privilege = privilege
        host = HostAccess(memory: base.memory, rmp: base.rmp, root: direct.root)
        device = DeviceAccess(memory: base.memory, rmp: base.rmp)
        try map(nested, gpa.frame.rawValue, mapping, flags: .guest)
        try map(direct, pfn.rawValue, mapping, flags: [.writable, .user])
        try assign(rmp)
        let owner = rmp.hasPrefix("own") || rmp == "immutable" ? key : .plain
        base.memory.setKey(owner, of: pfn)
        base.memory.store(Self.plaintext, at: pfn.address, key: owner)
    }

    private func map(_ table: PageTable, _ frame: UInt64, _ mapping: String, flags: PageFlags) throws {
        let parts = mapping.split(separator: "-").map(String.init)
        let flaw = parts.count > 1 ? parts[1] : ""
        guard let level = PageLevel.allCases.first(where: { $0.description == parts.first }) else {
            if mapping == "top-ps" {
                base.memory.storeQuadword(0x87, at: SPA(table.root.address.rawValue + (frame >> 27) << 3))
            }
            return
        }
        var flags = flags
        if flaw == "readonly" { flags.remove(.writable) }
        if flaw == "supervisor" { flags.remove(.user) }
        if flaw == "noexecute" { flags.formUnion(.noExecute) }
        let mask = level.pageCount - 1
        try table.map(frame & ~mask, to: PFN(pfn.rawValue & ~mask), level: level, flags: flags)
        let extra: UInt64 =
            switch flaw {
            case "reserved" where level == .level4K: 1 << 50
            case "reserved": 1 << 13
            case "pat": 1 << 12
            case _: 0
            }
        if extra != 0 { try orIntoLeaf(table, frame, level, extra) }
    }

    /// Sets bits that the page table itself never sets.
    private func orIntoLeaf(_ table: PageTable, _ frame: UInt64, _ level: PageLevel, _ bits: UInt64) throws {
        var spa = SPA(table.root.address.rawValue | (frame >> 27) << 3)
        for height in stride(from: UInt64(3), through: UInt64(level.rawValue), by: -1) {
            let next = base.memory.loadQuadword(at: spa) & 0x000f_ffff_ffff_f000
            spa = SPA(next | (frame >> (9 * (height - 1)) & 511) << 3)
        }
        base.memory.storeQuadword(base.memory.loadQuadword(at: spa) | bits, at: spa)
    }

    private func assign(_ name: String) throws {
        let rmp = base.rmp
        let head = pfn.aligned(down: .size2M)
        let gpaHead = gpa.frame.aligned(down: .size2M).address
        func assign4K(_ asid: ASID = Self.asid, at address: GPA? = nil, immutable: Bool = false, validate: Bool = true)
            throws
        {
            try rmp.rmpUpdate(pfn.address, to: .guest(asid, at: address ?? gpa, .size4K, immutable: immutable))
            guard validate else { return }
            let page = GuestPage(gpa: address ?? gpa, pfn: pfn, level: .level4K)
            #expect(try rmp.pvalidate(page, size: .size4K, validate: true, asid: asid, vmpl: .vmpl0))
        }
        func assign2M(at address: GPA, validate: Bool) throws {
            try rmp.rmpUpdate(head.address, to: .guest(Self.asid, at: address, .size2M))
            guard validate else { return }
            let page = GuestPage(gpa: address, pfn: head, level: .level2M)
            #expect(try rmp.pvalidate(page, size: .size2M, validate: true, asid: Self.asid, vmpl: .vmpl0))
        }
        let parts = name.split(separator: "-").map(String.init)
        switch name {
        case "hypervisor", "uncovered": break
        case "fixed": rmp.firmwareWrite(pfn, RMPEntry(immutable: true))
        case "firmware": try rmp.rmpUpdate(pfn.address, to: .firmware)
        case "own-4k": try assign4K()
        case "own-4k-unvalidated": try assign4K(validate: false)
        case "own-2m": try assign2M(at: gpaHead, validate: true)
        case "own-2m-unvalidated": try assign2M(at: gpaHead, validate: false)
        case "2m-other-gpa": try assign2M(at: GPA(gpaHead.rawValue + 0x20_0000), validate: true)
        case "other-asid": try assign4K(ASID(6))
        case "other-gpa": try assign4K(at: GPA(gpa.rawValue + 4096))
        case "immutable": try assign4K(immutable: true, validate: false)
        case "neighbour-4k": try rmp.rmpUpdate((pfn + 1).address, to: .guest(Self.asid, at: gpa, .size4K))
        case "head-4k": try rmp.rmpUpdate(head.address, to: .guest(Self.asid, at: gpa, .size4K))
        case "elsewhere": try rmp.rmpUpdate((head + 512).address, to: .guest(Self.asid, at: gpaHead, .size2M))
        case _ where parts.count == 4 && parts[2] == "vmpl2":
            try assign4K()
            let letters: [Character: VMPLPermissions] = [
                "r": .read, "w": .write, "u": .executeUser, "s": .executeSupervisor,
            ]
            let permissions = parts[3].reduce(into: VMPLPermissions()) { $0.formUnion(letters[$1] ?? []) }
            try rmp.rmpAdjust(
                GuestPage(gpa: gpa, pfn: pfn, level: .level4K), size: .size4K, target: .vmpl2, permissions: permissions,
                vmsa: false, asid: Self.asid, vmpl: .vmpl0)
        case _: preconditionFailure("RMP state \(name)")
        }
    }

    /// Makes the access and says what came of it in the words of the table.
    func perform(_ row: AccessRow) -> String {
        switch row.accessor {
        case "host":
            return outcome { () throws(HostPageFault) in
                if row.kind == "write" {
                    try host.store([1, 2, 3], at: pfn.address)
                } else if row.kind == "read" {
                    _ = try host.bytes(pfn.address, count: 16)
                } else {
                    try host.check(pfn.address, row.accessKind)
                }
            }
        case "device":
            if row.kind == "read" { return device.bytes(pfn.address, count: 16).count == 16 ? "ok" : "short" }
            do throws(DeviceFault) { try device.store([1, 2, 3], at: pfn.address) } catch {
                return error.address == pfn.address ? "event" : "event at \(error.address)"
            }
            return "ok"
        case "guest":
            let purpose: AccessPurpose = row.kind == "walk" ? .guestPageTable : .finalAddress
            do throws(GuestFault) { _ = try guest.translate(gpa, row.accessKind, row.cBit, for: purpose) } catch {
                switch error {
                case .pageNotValidated(let at): return at == gpa ? "vc" : "vc at \(at)"
                case .nestedPageFault(let at, let bits):
                    return at == gpa ? AccessResult.describe("npf:", bits) : "npf at \(at)"
                }
            }
            return "ok"
        case _: preconditionFailure("accessor \(row.accessor)")
        }
    }

    private func outcome(_ body: () throws(HostPageFault) -> Void) -> String {
        do throws(HostPageFault) { try body() } catch {
            return error.address == pfn.address ? AccessResult.describe("pf:", error.error) : "pf at \(error.address)"
        }
        return "ok"
    }
}
