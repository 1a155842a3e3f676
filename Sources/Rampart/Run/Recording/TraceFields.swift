// What a trace says of each kind of event.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension RMPChange {
    /// The event's name.
    var traceName: String {
        switch self {
        case .rmpUpdate: "rmpupdate"
        case .psmash: "psmash"
        case .pvalidate: "pvalidate"
        case .rmpAdjust: "rmpadjust"
        case .firmwareWrite: "rmp_firmware"
        case .firmwareUnsmash: "rmp_unsmash"
        case .firmwareClear: "rmp_clear"
        }
    }

    /// What the event says.
    var traceFields: [(String, String)] {
        func bit(_ value: Bool) -> String { value ? "1" : "0" }
        switch self {
        case .rmpUpdate(let spa, let state):
            return [
                ("spa", spa.description), ("gpa", state.gpa.description), ("size", "\(state.pageSize)"),
                ("asid", "\(state.asid)"), ("assigned", bit(state.assigned)), ("immutable", bit(state.immutable)),
            ]
        case .psmash(let spa): return [("spa", spa.description)]
        case .pvalidate(let page, let size, let validate, let asid, let vmpl):
            return [
                ("gpa", page.gpa.description), ("spa", page.pfn.address.description), ("size", "\(size)"),
                ("validate", bit(validate)), ("asid", "\(asid)"), ("vmpl", String(vmpl.rawValue)),
            ]
        case .rmpAdjust(let page, let size, let target, let permissions, let vmsa, let asid, let vmpl):
            return [
                ("gpa", page.gpa.description), ("spa", page.pfn.address.description), ("size", "\(size)"),
                ("target", String(target.rawValue)), ("permissions", hexadecimal(UInt64(permissions.rawValue))),
                ("vmsa", bit(vmsa)), ("asid", "\(asid)"), ("vmpl", String(vmpl.rawValue)),
            ]
        case .firmwareWrite(let pfn, let entry):
            return [
                ("spa", pfn.address.description), ("gpa", entry.gfn.address.description), ("size", "\(entry.pageSize)"),
                ("asid", "\(entry.asid)"), ("assigned", bit(entry.assigned)), ("validated", bit(entry.validated)),
                ("vmsa", bit(entry.vmsa)), ("immutable", bit(entry.immutable)), ("state", entry.state.rawValue),
            ]
        case .firmwareUnsmash(let pfn): return [("spa", pfn.address.description)]
        case .firmwareClear: return []
        }
    }
}

extension UserExit {
    /// The exit's name, as KVM calls it.
    var traceName: String {
        switch self {
        case .io: "IO"
        case .mapRange: "HYPERCALL"
        case .mmio: "MMIO"
        case .halted: "HLT"
        case .shutdown: "SHUTDOWN"
        case .failEntry: "FAIL_ENTRY"
        case .interrupted: "INTR"
        case .unexpectedExit: "INTERNAL_ERROR"
        case .terminated: "SYSTEM_EVENT"
        case .memoryFault: "MEMORY_FAULT"
        case .certificates: "SNP_REQ_CERTS"
        case .failed: "FAILED"
        }
    }

    /// What the event says of it.
    var traceFields: [(String, String)] {
        switch self {
        case .io(let access):
            return [
                ("port", hexadecimal(UInt64(access.port))), ("size", String(access.size)),
                ("count", String(access.count)),
                ("write", access.isWrite ? "1" : "0"),
            ]
        case .mapRange(let call):
            return [
                ("gpa", call.gpa.description), ("pages", String(call.pageCount)), ("size", "\(call.pageSize)"),
                ("to", "\(call.attribute)"),
            ]
        case .mmio(let access):
            return [
                ("gpa", access.gpa.description), ("bytes", String(access.byteCount)),
                ("write", access.isWrite ? "1" : "0"),
            ]
        case .failEntry(let code), .unexpectedExit(let code): return [("code", code.description)]
        case .terminated(let ghcb): return [("ghcb", hexadecimal(ghcb))]
        case .memoryFault(let gpa, let byteCount, let isPrivate, let errno):
            return [
                ("gpa", gpa.description), ("bytes", hexadecimal(byteCount)), ("private", isPrivate ? "1" : "0"),
                ("errno", errno.description),
            ]
        case .certificates(let gfn, let count): return [("gpa", gfn.address.description), ("pages", String(count))]
        case .failed(let errno): return [("errno", errno.description)]
        case .halted, .shutdown, .interrupted: return []
        }
    }
}

/// A VMGEXIT, read without touching anything.
struct DecodedVMGEXIT {
    var fields: [(String, String)]

    /// Decodes the MSR and, for the page protocol, the page.
    init(ghcb: UInt64, _ memory: GuestAccess) {
        let request = GHCBMSRRequest(rawValue: ghcb)
        guard case .page(let gpa) = request else {
            fields = [
                ("protocol", "msr"), ("code", Self.name(request)), ("info1", hexadecimal(ghcb)), ("info2", "0x0"),
            ]
            return
        }
        fields = [("protocol", "page"), ("gpa", gpa.description)]
        guard let page = memory.peek(gpa, count: 4096, .shared).flatMap(GHCBPage.init) else {
            fields += [("code", "unreadable"), ("info1", "0x0"), ("info2", "0x0")]
            return
        }
        fields += [
            ("code", ExitCode(page[.exitCode]).description), ("info1", hexadecimal(page[.exitInfo1])),
            ("info2", hexadecimal(page[.exitInfo2])),
        ]
        for (field, name) in [
            (GHCBField.rax, "rax"), (.rbx, "rbx"), (.rcx, "rcx"), (.rdx, "rdx"), (.scratch, "scratch"),
        ] {
            if let value = page.value(field) { fields.append((name, hexadecimal(value))) }
        }
    }

    private static func name(_ request: GHCBMSRRequest) -> String {
        switch request {
        case .page: "page"
        case .sevInformation: "SEV_INFO"
        case .cpuid: "CPUID"
        case .apResetHold: "AP_RESET_HOLD"
        case .preferredGHCB: "PREFERRED_GHCB"
        case .registerGHCB: "REGISTER_GHCB"
        case .pageStateChange: "PAGE_STATE_CHANGE"
        case .runVMPL: "RUN_VMPL"
        case .hypervisorFeatures: "HV_FEATURES"
        case .terminate: "TERMINATE"
        case .unknown: "unknown"
        }
    }
}

/// The answer to a VMGEXIT, read at the next entry.
struct DecodedReply {
    var fields: [(String, String)]

    init(ghcb: UInt64, _ memory: GuestAccess) {
        guard case .page(let gpa) = GHCBMSRRequest(rawValue: ghcb) else {
            fields = [("protocol", "msr"), ("info1", hexadecimal(ghcb)), ("info2", "0x0")]
            return
        }
        fields = [("protocol", "page"), ("gpa", gpa.description)]
        guard let page = memory.peek(gpa, count: 4096, .shared).flatMap(GHCBPage.init) else { return }
        fields += [("info1", hexadecimal(page[.exitInfo1])), ("info2", hexadecimal(page[.exitInfo2]))]
    }
}
