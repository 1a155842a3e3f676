// Bugs that hypervisors have had in this code, each of which can be switched on: the benchmark of the explorer.
//
// A defect is consulted at one place, where the product code says `host.has(.name)`. Without defects that is one predictable
// branch. Never for use: a host with a defect is broken on purpose.

/// A bug that was found in a published hypervisor, by name.
public enum KnownDefect: String, CaseIterable, Sendable {
    /// 1: frames that share their 2 MiB with the RMP are handed out.
    case rmpNeighboursUsed
    /// 2: PSMASH is not retried when another processor is at work in the region.
    case psmashNotRetried
    /// 3: a page is freed although PSMASH has failed and its 2 MiB entry is still the guest's.
    case smashFailureIgnored
    /// 4: the handler of RMP faults runs although the fault goes to the VMM.
    case rmpFaultBeforeExit
    /// 5: fallocate makes pages private, before LAUNCH_UPDATE can.
    case preparedAtAllocation
    /// 6: LAUNCH_UPDATE takes pages whose attribute is shared.
    case launchesSharedPages
    /// 7: a failed LAUNCH_UPDATE keeps the kernel's mapping of the page.
    case mappingKeptAfterFailure
    /// 8: LAUNCH_UPDATE takes a length of 0.
    case emptyLaunchUpdate
    /// 9: firmware and VMSA pages may be 2 MiB aligned, which makes processors see false RMP violations.
    case alignedFirmwarePages
    /// 10: a VMSA's page is taken back while a virtual CPU runs with it.
    case runningVMSAPunched
    /// 11: a virtual CPU made while LAUNCH_FINISH runs is never measured nor encrypted.
    case virtualCPUDuringFinish
    /// 12: AP creation stops the target before it looks at the rest of the request.
    case refusedCreationStops
    /// 14: an entry of a page state change is read again after it was checked.
    case pageStateReadTwice
    /// 15: a GHCB's fields are read again after the bits that say which of them count.
    case requestReadTwice
    /// 16: user space's answer to a hypercall is not preset: what the last one left there counts.
    case replyNotPreset
    /// 17: a look at the attributes of a range looks one frame too far.
    case attributeRangeTooLong
    /// 18: a deleted slot stays bound to its guest memory.
    case staleBinding
    /// 19: statuses from INVALID_PAGE_SIZE on reach user space as other numbers.
    case statusNumbersShifted
    /// 20: a command's buffer is filled before it is the command's turn.
    case commandBufferShared
    /// 21: a command that fails leaves the driver busy.
    case commandStaysActive
    /// 22: a page that firmware could not be given is not freed.
    case refusedPageLost
    /// 23: when firmware cannot be given a page of several, those before it are freed as they are.
    case refusedBlockFreed
    /// 24: the IOMMUs' buffers are not taken back when SNP is turned off.
    case iommuPagesKept
    /// 25: a panic does not write back the caches before firmware is to flush.
    case panicWithoutWriteBack
    /// 26: SNP_SHUTDOWN_EX is not sent again after the flush that it asks for.
    case shutdownNotRetried
    /// 27: a core that comes late does not have SNP turned on.
    case lateCoreWithoutSNP
    /// 28: a kernel that finds SNP on clears the RMP all the same.
    case enforcedRMPCleared
    /// 29: the tail pages of a leaked 2 MiB page go on the list of leaked pages, too.
    case tailPagesLeaked
    /// 30: a failed SNP_INIT_EX is ignored.
    case initFailureIgnored
    /// 31: KVM looks whether SNP is on before it is, and offers no SNP machine.
    case kvmBeforeSNP
    /// 33: the structure of SNP_LAUNCH_START lacks DESIRED_TSC_FREQ, and what follows it is misplaced.
    case launchStartTooShort
    /// 34: an access to a shared page as private makes it private, without asking the VMM.
    case sharedAccessConverts
    /// 35: a freed ASID is given out again without a flush.
    case dirtyASIDReused
    /// 37: a page that does not come back from the RMP is freed, and the machine lives on.
    case lostPageFreed
    /// 38: an SNP machine can be mirrored.
    case mirrorsAllowed
    /// Not of the list, but the race that the invalidation brackets are for: a fault maps what was taken back meanwhile.
    case staleFaultMaps
    /// Not of the list: a run that is interrupted before it has taken user space's answer forgets it.
    case answerForgotten
    /// Not of the list: a machine's pages for guest requests are freed before its requests have ended.
    case requestPagesFreedEarly
    /// Not of the list: a conversion to shared that meets a page without backing is refused.
    case holeRefused
    /// Not of the list: a page that is freed after it became shared, and is the guest's in the RMP, counts as lost.
    case sharedPageLost

    /// The bug's number in the list of known bugs, or nil if it is not of the list.
    public var number: Int? {
        switch self {
        case .rmpNeighboursUsed: 1
        case .psmashNotRetried: 2
        case .smashFailureIgnored: 3
        case .rmpFaultBeforeExit: 4
        case .preparedAtAllocation: 5
        case .launchesSharedPages: 6
        case .mappingKeptAfterFailure: 7
        case .emptyLaunchUpdate: 8
        case .alignedFirmwarePages: 9
        case .runningVMSAPunched: 10
        case .virtualCPUDuringFinish: 11
        case .refusedCreationStops: 12
        case .pageStateReadTwice: 14
        case .requestReadTwice: 15
        case .replyNotPreset: 16
        case .attributeRangeTooLong: 17
        case .staleBinding: 18
        case .statusNumbersShifted: 19
        case .commandBufferShared: 20
        case .commandStaysActive: 21
        case .refusedPageLost: 22
        case .refusedBlockFreed: 23
        case .iommuPagesKept: 24
        case .panicWithoutWriteBack: 25
        case .shutdownNotRetried: 26
        case .lateCoreWithoutSNP: 27
        case .enforcedRMPCleared: 28
        case .tailPagesLeaked: 29
        case .initFailureIgnored: 30
        case .kvmBeforeSNP: 31
        case .launchStartTooShort: 33
        case .sharedAccessConverts: 34
        case .dirtyASIDReused: 35
        case .lostPageFreed: 37
        case .mirrorsAllowed: 38
        case .staleFaultMaps, .answerForgotten, .requestPagesFreedEarly, .holeRefused, .sharedPageLost: nil
        }
    }

    /// What is wrong, in a line.
    public var summary: String {
        switch self {
        case .rmpNeighboursUsed: "frames that share their 2 MiB with the RMP are handed out"
        case .psmashNotRetried: "PSMASH is not retried when another processor is at work in the region"
        case .smashFailureIgnored: "a page is freed although its 2 MiB entry could not be split"
        case .rmpFaultBeforeExit: "the handler of RMP faults runs although the fault goes to the VMM"
        case .preparedAtAllocation: "fallocate makes pages private before LAUNCH_UPDATE can"
        case .launchesSharedPages: "LAUNCH_UPDATE takes pages whose attribute is shared"
        case .mappingKeptAfterFailure: "a failed LAUNCH_UPDATE keeps the kernel's mapping of the page"
        case .emptyLaunchUpdate: "LAUNCH_UPDATE takes a length of 0"
        case .alignedFirmwarePages: "firmware and VMSA pages may be 2 MiB aligned"
        case .runningVMSAPunched: "a VMSA's page is taken back while a virtual CPU runs with it"
        case .virtualCPUDuringFinish: "a virtual CPU made while LAUNCH_FINISH runs is never encrypted"
        case .refusedCreationStops: "a refused AP creation stops the virtual CPU that it is about"
        case .pageStateReadTwice: "an entry of a page state change is read again after it was checked"
        case .requestReadTwice: "a GHCB's fields are read again after it was checked which of them count"
        case .replyNotPreset: "the answer to a hypercall is not preset, and an earlier one counts"
        case .attributeRangeTooLong: "a look at the attributes of a range looks one frame too far"
        case .staleBinding: "a deleted slot stays bound to its guest memory"
        case .statusNumbersShifted: "firmware statuses reach user space as other numbers"
        case .commandBufferShared: "a command's buffer is filled before it is the command's turn"
        case .commandStaysActive: "a command that fails leaves the driver busy"
        case .refusedPageLost: "a page that firmware could not be given is not freed"
        case .refusedBlockFreed: "pages that firmware has are freed when a later one of the buffer is refused"
        case .iommuPagesKept: "the IOMMUs' buffers are not taken back when SNP is turned off"
        case .panicWithoutWriteBack: "a panic does not write back the caches before firmware is to flush"
        case .shutdownNotRetried: "SNP_SHUTDOWN_EX is not sent again after the flush that it asks for"
        case .lateCoreWithoutSNP: "a core that comes late does not have SNP turned on"
        case .enforcedRMPCleared: "a kernel that finds SNP on clears the RMP all the same"
        case .tailPagesLeaked: "the tail pages of a leaked 2 MiB page are listed, too"
        case .initFailureIgnored: "a failed SNP_INIT_EX is ignored"
        case .kvmBeforeSNP: "KVM starts before SNP is on, and offers no SNP machine"
        case .launchStartTooShort: "SNP_LAUNCH_START lacks the TSC frequency, and what follows it is misplaced"
        case .sharedAccessConverts: "an access to a shared page as private makes it private unasked"
        case .dirtyASIDReused: "a freed ASID is given out again without a flush"
        case .lostPageFreed: "a page that does not come back from the RMP is freed, and the machine lives on"
        case .mirrorsAllowed: "an SNP machine can be mirrored: two machines have one ASID"
        case .staleFaultMaps: "a fault maps what a conversion has taken back meanwhile"
        case .answerForgotten: "an interrupted run forgets user space's answer"
        case .requestPagesFreedEarly: "a machine's pages for guest requests are freed before its requests have ended"
        case .holeRefused: "a conversion to shared that meets a page without backing is refused"
        case .sharedPageLost: "a page that is freed after it became shared counts as lost"
        }
    }
}

/// A set of defects, switched on when a host boots.
public struct KnownDefects: OptionSet, Sendable {
    /// A bit for each defect, in their order.
    public let rawValue: UInt64
    /// Makes a set from its bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Makes a set of one defect.
    public init(_ defect: KnownDefect) { self.init(rawValue: Self.bit(defect)) }

    /// Whether the defect is switched on.
    @inline(__always) func has(_ defect: KnownDefect) -> Bool { rawValue != 0 && rawValue & Self.bit(defect) != 0 }

    private static func bit(_ defect: KnownDefect) -> UInt64 {
        1 << UInt64(KnownDefect.allCases.firstIndex(of: defect) ?? 63)
    }
}

extension Host {
    /// Whether the defect is switched on.
    @inline(__always) func has(_ defect: KnownDefect) -> Bool { defects.has(defect) }
}
