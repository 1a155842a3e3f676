// A guest's own memory accesses: what faults goes to the host and is tried again, as on a processor.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

/// A launched guest's way to its memory, as its code would have it.
///
/// - Deviates: no instructions run; each access stands for a load or store of the guest's code at VMPL 0
struct GuestPort {
    private let machine: VirtualMachine
    private let access: GuestAccess

    /// How often the host may answer a fault of one access before the guest counts as stuck.
    private static let faultLimit = 16

    /// Makes a port; nil while the guest has no key.
    init?(_ machine: VirtualMachine) {
        guard let access = machine.makeGuestAccess() else { return nil }
        self.machine = machine
        self.access = access
    }

    /// Loads bytes.
    ///
    /// - Throws: `GuestPortError`, when the host cannot resolve a fault
    func load(_ gpa: GPA, count: Int, _ cBit: CBit) throws(GuestPortError) -> [UInt8] {
        try retrying { () throws(GuestFault) in try access.bytes(gpa, count: count, cBit) }
    }

    /// Stores bytes.
    ///
    /// - Throws: as `load`
    func store(_ bytes: [UInt8], at gpa: GPA, _ cBit: CBit) throws(GuestPortError) {
        try retrying { () throws(GuestFault) in try access.store(bytes, at: gpa, cBit) }
    }

    private func retrying<R>(_ body: () throws(GuestFault) -> R) throws(GuestPortError) -> R {
        for _ in 0..<Self.faultLimit {
            do throws(GuestFault) { return try body() } catch {
                guard case .nestedPageFault(let gpa, let code) = error else { throw GuestPortError(fault: error) }
                guard machine.handleNestedPageFault(gpa, code) == .resume else { throw GuestPortError(fault: error) }
            }
        }
        throw GuestPortError(fault: nil)
    }
}

/// A guest access that never completes.
struct GuestPortError: Error, Hashable, CustomStringConvertible {
    /// The fault that nobody resolves; nil when the same ones come again and again.
    var fault: GuestFault?

    var description: String {
        switch fault {
        case .nestedPageFault(let gpa, _): "the host cannot resolve the guest's access to \(gpa)"
        case .pageNotValidated(let gpa): "the guest has not validated \(gpa)"
        case nil: "the guest's access faults again and again"
        }
    }
}
