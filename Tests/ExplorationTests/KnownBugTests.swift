// Every known bug is found in the scenario that is about it, when it is switched on, and not otherwise.

import Testing

@testable import Exploration

@Suite("Known bugs")
struct KnownBugTests {
    /// Where each bug shows. `rampart known-bugs` looks everywhere; here is only time for one scenario each.
    static let homes: [(bug: String, scenario: String)] = [
        ("psmashNotRetried", "psmash-in-use-eager"), ("smashFailureIgnored", "psmash-fails-lazy"),
        ("rmpFaultBeforeExit", "rmp-fault-exit-lazy"), ("preparedAtAllocation", "allocate-launch-lazy"),
        ("launchesSharedPages", "launch-convert-eager"), ("mappingKeptAfterFailure", "launch-no-entry"),
        ("emptyLaunchUpdate", "launch-empty"), ("alignedFirmwarePages", "context-page"),
        ("virtualCPUDuringFinish", "finish-vcpu"), ("attributeRangeTooLong", "uniform-2m"),
        ("staleBinding", "slot-again"), ("statusNumbersShifted", "launch-refused-lazy"),
        ("commandBufferShared", "launch-two-machines"), ("commandStaysActive", "launch-refused-eager"),
        ("refusedPageLost", "start-no-entry"), ("shutdownNotRetried", "shutdown"), ("lateCoreWithoutSNP", "init"),
        ("tailPagesLeaked", "page-lost-eager"), ("initFailureIgnored", "init-refused"),
        ("dirtyASIDReused", "asid-again"), ("lostPageFreed", "page-lost-lazy"),
        ("staleFaultMaps", "fault-convert-eager"), ("runningVMSAPunched", "vmsa-punched-eager"),
        ("refusedCreationStops", "creation-refused"), ("pageStateReadTwice", "psc-rewritten"),
        ("requestReadTwice", "ghcb-rewritten"), ("replyNotPreset", "hypercall-unanswered"),
        ("sharedAccessConverts", "validated-shared"), ("answerForgotten", "hypercall-interrupted"),
        ("launchStartTooShort", "launch-start-fields"), ("kvmBeforeSNP", "init"), ("mirrorsAllowed", "mirror-refused"),
        ("rmpNeighboursUsed", "init"), ("rmpNeighboursUsed", "fault-2m-eager"), ("refusedBlockFreed", "block-refused"),
        ("iommuPagesKept", "iommu-buffers"),
        ("panicWithoutWriteBack", "panic"), ("enforcedRMPCleared", "kexec"),
        ("requestPagesFreedEarly", "request-destroyed"), ("holeRefused", "psc-punched-eager"),
        ("sharedPageLost", "psc-punched-lazy"),
    ]

    @Test("Each is found, told in words, and replayed twice from its token", arguments: homes)
    func found(name: String, scenario: String) throws {
        let bug = try #require(KnownBug(name))
        let place = try #require(Scenario.named(scenario))
        var settings = ExplorationSettings()
        settings.budget = .schedules(300)
        #expect(try Exploration.run(place, settings).failure?.problem == nil)
        settings.bug = bug
        let report = try Exploration.run(place, settings)
        let failure = try #require(report.failure, "not found in \(report.schedules) schedules")
        #expect(failure.token.bug == bug && !failure.problem.isEmpty)
        #expect(failure.token.description.count < 100)
        let replays = try (0..<2).map { _ in try Exploration.replay(ReplayToken(failure.token.description)) }
        #expect(replays[0] == replays[1])
        #expect(replays[0].problem == failure.problem)
    }

    @Test("None is left out")
    func complete() {
        #expect(Set(Self.homes.map(\.bug)) == Set(KnownBug.all.map(\.name)))
        #expect(KnownBug.all.count { $0.number != nil } == 35)
    }
}
