// The smaller values of the GHCB protocol: I/O, page state change, AP creation, guest requests, features.

import SNPArchitecture
import Testing

@Suite("GHCB values")
struct GHCBValueTests {
    @Test("IOIO: port 31:16, size 6:4, IN bit 0, string bit 2, REP bit 3, address size 9:7, segment 12:10")
    func io() {
        let outs = IOExitInfo(rawValue: 0x03f8_0e1c | 0)
        #expect(outs.port == 0x3f8)
        #expect(!outs.isInput && outs.isString && outs.isRepeated)
        #expect(outs.byteCount == 1 && outs.addressSize == 4 && outs.segment == 3)
        #expect(IOExitInfo(port: 0x3f8, byteCount: 1, isInput: false, isString: true, isRepeated: true) == outs)
        #expect(IOExitInfo(port: 0xcf8, byteCount: 4, isInput: true).rawValue == 0x0cf8_0241)
        for size in 0...7 as ClosedRange<UInt64> {
            #expect(IOExitInfo(rawValue: size << 4).hasDefinedSize == [1, 2, 4].contains(size))
        }
    }

    @Test("page state change entry: page 11:0, gfn 51:12, operation 55:52, size 56, reserved 63:57")
    func entry() {
        var entry = PageStateChangeEntry(rawValue: 0xfd12_3456_789a_bcde)
        #expect(entry.currentPage == 0xcde)
        #expect(entry.gfn == GFN(0x23_4567_89ab))
        #expect(entry.operation.rawValue == 1)
        #expect(entry.size == .size2M && entry.reserved == 0x7e)
        entry.currentPage = 0x200
        #expect(entry.rawValue == 0xfd12_3456_789a_b200)
        #expect(PageStateChangeEntry(GFN(0x1000), .makeShared).rawValue == 0x0020_0000_0100_0000)
        #expect(PageStateChangeEntry(GFN(0x1200), .makePrivate, .size2M).rawValue == 0x0110_0000_0120_0000)
        #expect(PageStateChangeEntry(GFN(.max), .init(rawValue: 0xff)).reserved == 0, "fields do not spill")
    }

    @Test("page state change header: current 15:0, end 31:16, reserved 63:32; a full GHCB has 253 entries")
    func header() {
        var header = PageStateChangeHeader(rawValue: 0xaaaa_bbbb_1234_5678)
        #expect(header.currentEntry == 0x5678 && header.endEntry == 0x1234 && header.reserved == 0xaaaa_bbbb)
        header.currentEntry = 1
        header.endEntry = 2
        #expect(header.rawValue == 0xaaaa_bbbb_0002_0001)
        #expect(PageStateChangeHeader(currentEntry: 3, endEntry: 4).rawValue == 0x0004_0003)
        #expect(PageStateChangeBuffer.maximumEntryCount == 253)
    }

    @Test("page state change results")
    func results() {
        #expect(PageStateChangeResult.invalidHeader.rawValue == 0x0000_0001_0000_0001)
        #expect(PageStateChangeResult.invalidEntry.rawValue == 0x0000_0001_0000_0002)
        #expect(PageStateChangeResult.genericError.rawValue == 0x0000_0100_0000_0000)
    }

    @Test("AP creation: kind 15:0, VMPL 19:16, reserved 31:20, APIC ID 63:32")
    func apCreation() {
        let request = APCreationInput(exitInfo1: 0x0000_0007_abc3_0001, exitInfo2: 0x5000)
        #expect(request.kind == .create && request.vmpl == 3 && request.reserved == 0xabc)
        #expect(request.apicID == 7 && request.vmsa == GPA(0x5000))
        #expect(
            APCreationInput(.destroy, apicID: 9, vmpl: 1, vmsa: GPA(0)).exitInfo1 == 0x0000_0009_0001_0002)
        #expect([.createOnInit, .create, .destroy].map(\APCreationKind.rawValue) == [0, 1, 2])
    }

    @Test("guest request: the VMM's word above, the firmware's below")
    func guestRequest() {
        let result = GuestRequestResult(vmm: .invalidLength, firmware: .invalidParam)
        #expect(result.rawValue == 0x0000_0001_0000_0016)
        #expect(result.vmm == .invalidLength && result.firmware == .invalidParam)
        #expect(GuestRequestResult(vmm: .generic).rawValue == 0xffff_ffff_0000_0000)
        #expect(GuestRequestResult(vmm: .busy).rawValue == 0x0000_0002_0000_0000)
        #expect(GuestRequestResult().rawValue == 0)
    }

    @Test("feature bits; KVM offers SNP and AP creation")
    func features() {
        let bits: [HypervisorFeatures] = [
            .snp, .apCreation, .restrictedInjection, .restrictedInjectionTimer, .apicIDList, .multiVMPL,
        ]
        #expect(bits.map(\.rawValue) == [1, 2, 4, 8, 16, 32])
        #expect(HypervisorFeatures.kvm.rawValue == 3)
    }

    @Test("malformed-input reasons are 1 to 6, actions 0 to 2")
    func reasons() {
        #expect(GHCBMalformedInput.allCases.map(\.rawValue) == [1, 2, 3, 4, 5, 6])
        #expect(GHCBMalformedInput.notRegistered.rawValue == 1 && GHCBMalformedInput.invalidEvent.rawValue == 6)
        #expect([GHCBAction.none, .raiseException, .malformedInput].map(\.rawValue) == [0, 1, 2])
    }
}
