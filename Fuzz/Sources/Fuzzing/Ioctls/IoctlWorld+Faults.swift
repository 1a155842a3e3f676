// Faults, and what guest code does to its pages.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import ScriptedGuest

extension IoctlWorld {
    static var faultOperations: [Operation<IoctlWorld>] {
        [
            Operation(
                "fault",
                [
                    .number("guest"), .number("page", 2),
                    .choice("as", ["private", "shared", "private-rmp", "shared-rmp"]),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                var error: PageFaultError = [.user, .finalAddress]
                if a[2] & 1 == 0 { error.insert(.encrypted) }
                if a[2] >= 2 { error.formUnion([.present, .rmp, .sizeMismatch]) }
                _ = guest.vm.handleNestedPageFault(guest.gpa(a[1]), error)
            },
            Operation("fault-raw", [.number("guest"), .number("gpa", 8), .number("error", 8)]) { world, a in
                _ = world.guest(a[0]).vm.handleNestedPageFault(GPA(a[1]), PageFaultError(rawValue: a[2]))
            },
            Operation(
                "pre-fault", [.number("guest"), .number("page", 2), .number("count", 2)]
            ) { world, a in
                let guest = world.guest(a[0])
                _ = try guest.vm.preFault(guest.gpa(a[1]), byteCount: a[2] << 12)
            },
            Operation("pre-fault-raw", [.number("guest"), .number("gpa", 8), .number("bytes", 8)]) { world, a in
                guard a[2] < 1 << 24 else { return }
                _ = try world.guest(a[0]).vm.preFault(GPA(a[1]), byteCount: a[2])
            },
            Operation(
                "touch",
                [
                    .number("guest"), .number("page", 2), .choice("as", ["private", "shared"]),
                    .choice("kind", ["read", "write", "execute"]),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                let cBit: CBit = a.isSet(2) ? .shared : .private
                try guest.access { memory in
                    if a[3] == 1 {
                        try memory.store([1, 2, 3], at: guest.gpa(a[1]), cBit)
                    } else {
                        _ = try memory.bytes(guest.gpa(a[1]), count: 3, cBit, kind: a[3] == 2 ? .execute : .read)
                    }
                }
            },
            Operation(
                "pvalidate",
                [
                    .number("guest"), .number("page", 2), .choice("size", ["4K", "2M"]),
                    .choice("to", ["valid", "invalid"]), .number("vmpl"),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                try guest.access { memory in
                    _ = try memory.rmp.pvalidate(
                        try memory.resolve(guest.gpa(a[1])), size: a.isSet(2) ? .size2M : .size4K,
                        validate: !a.isSet(3), asid: memory.context.asid, vmpl: vmpl(a[4]))
                }
            },
            Operation(
                "rmpadjust",
                [
                    .number("guest"), .number("page", 2), .choice("size", ["4K", "2M"]), .number("target"),
                    .number("permissions"), .choice("vmsa", ["no", "yes"]), .number("vmpl"),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                try guest.access { memory in
                    try memory.rmp.rmpAdjust(
                        try memory.resolve(guest.gpa(a[1])), size: a.isSet(2) ? .size2M : .size4K,
                        target: vmpl(a[3]),
                        permissions: VMPLPermissions(rawValue: UInt8(a[4])), vmsa: a.isSet(5),
                        asid: memory.context.asid, vmpl: vmpl(a[6]))
                }
            },
        ]
    }
}
