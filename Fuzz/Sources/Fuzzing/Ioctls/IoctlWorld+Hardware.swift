// What hardware and firmware do at the wrong moment: refusals, and a host without memory.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension IoctlWorld {
    private static let statuses: [RMPStatus] = [
        .failInput, .failPermission, .failInUse, .failOverlap, .failSizeMismatch,
    ]

    static var hardwareOperations: [Operation<IoctlWorld>] {
        [
            Operation(
                "refuse",
                [
                    .choice("instruction", ["RMPUPDATE", "PSMASH"]), .number("after"), .number("times"),
                    .choice(
                        "status", ["FAIL_INPUT", "FAIL_PERMISSION", "FAIL_INUSE", "FAIL_OVERLAP", "FAIL_SIZEMISMATCH"]),
                ]
            ) { world, a in
                world.sealed.refuse(
                    a.isSet(0) ? .psmash : .rmpUpdate, skipped: a.int(1), count: a.int(2), with: statuses[a.int(3)])
            },
            Operation("refuse-firmware", [.number("after"), .number("times"), .number("status")]) { world, a in
                world.sealed.refuseFirmware(
                    skipped: a.int(0), count: a.int(1), with: FirmwareStatus(rawValue: UInt16(a[2])))
            },
            Operation("exhaust", [.number("left")]) { world, a in world.sealed.exhaustMemory(leaving: a.int(0)) },
            Operation("flush-asids", []) { world, _ in try world.sealed.host.flushASIDs() },
        ]
    }
}
