// What a guest would read from its private memory, before an attack and after: the integrity that SNP promises, looked at
// directly instead of by rules.

internal import Machine
internal import SNPArchitecture

/// The contents of the validated private pages around one guest frame, as the guest reads them.
struct PrivateView {
    private var pages: [GFN: [UInt8]] = [:]

    var pageCount: Int { pages.count }

    /// Reads the pages of the 2 MiB around a frame that the guest can read; nil before the guest has a key.
    ///
    /// - Deviates: pages of the same 2 MiB of guest memory only; attacks touch no others
    init?(of gfn: GFN, in machine: VirtualMachine) {
        guard let access = machine.makeGuestAccess() else { return nil }
        let head = gfn.aligned(down: .size2M)
        for frame in 0..<512 as Range<UInt64> {
            // A fault is an answer: the guest cannot read it. Only the page itself is mapped for that.
            pages[head + frame] = Self.read(head + frame, access, machine, maps: head + frame == gfn)
        }
    }

    /// What the guest reads from a page, which the host maps first, if need be, as it would at the guest's fault.
    private static func read(_ gfn: GFN, _ access: GuestAccess, _ machine: VirtualMachine, maps: Bool) -> [UInt8]? {
        if maps, machine.nested.mapping(of: gfn) == nil, machine.attribute(of: gfn) == .private {
            _ = try? machine.populateMappings(gfn.address, byteCount: 4096)
        }
        return try? access.bytes(gfn.address, count: 4096, .private)
    }

    /// What the guest reads from a page, or nil if it cannot.
    func contents(of gfn: GFN) -> [UInt8]? { pages[gfn] }

    /// Pages that the guest now reads with other contents. One that it cannot read any more is none of them.
    func corruptions(in machine: VirtualMachine) -> [String] {
        guard let access = machine.makeGuestAccess() else { return [] }
        return pages.keys.sorted().compactMap { gfn in
            guard let now = Self.read(gfn, access, machine, maps: true), now != pages[gfn] else { return nil }
            return "guest frame \(gfn) reads with other contents than the guest wrote"
        }
    }
}
