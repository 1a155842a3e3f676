import Testing

@testable import KeyDistribution

@Suite("Faults")
struct FaultTests {
    static let accepted: [(String, FaultRule)] = [
        ("404", FaultRule(.notFound)), ("500", FaultRule(.serverError)), ("truncated", FaultRule(.truncated)),
        ("429", FaultRule(.tooManyRequests(retryAfterSeconds: 1))), ("slow", FaultRule(.slow(milliseconds: 1000))),
        ("429=7:every-3", FaultRule(.tooManyRequests(retryAfterSeconds: 7), .every(3))),
        ("slow=60000:first-2", FaultRule(.slow(milliseconds: 60_000), .first(2))),
        ("500:0.25", FaultRule(.serverError, .probability(0.25))), ("404:1", FaultRule(.notFound, .probability(1))),
    ]

    @Test("a rule is read", arguments: accepted)
    func reads(_ text: String, _ rule: FaultRule) throws {
        #expect(try FaultRule(parsing: text) == rule)
    }

    static let refused = [
        "", "403", "429=", "429=-1", "429=3601", "429=1s", "429=99999999999999999999", "404=1", "truncated=5", "500=",
        "slow=60001", "slow=+5", "500:", "500:every-0", "500:every-", "500:every--1", "500:first-x", "500:1.5",
        "500:-0.1",
        "500:nan", "500:2", "500:every-3:first-2", "Slow", " 500", "500 ",
    ]

    @Test("a rule that is none is refused", arguments: refused)
    func refuses(_ text: String) {
        #expect(throws: FaultSyntaxError.self) { try FaultRule(parsing: text) }
    }

    private func hits(_ plan: FaultPlan, _ count: Int) -> [Int] {
        (1...count).filter { plan.fault(forRequest: $0) != nil }
    }

    @Test("each n-th, the first n, every one")
    func triggers() {
        #expect(hits(FaultPlan([FaultRule(.notFound, .every(3))]), 10) == [3, 6, 9])
        #expect(hits(FaultPlan([FaultRule(.notFound, .first(2))]), 10) == [1, 2])
        #expect(hits(FaultPlan([FaultRule(.notFound)]), 4) == [1, 2, 3, 4])
        #expect(hits(FaultPlan(), 10) == [])
    }

    @Test("the first rule that hits counts")
    func order() {
        let plan = FaultPlan([FaultRule(.serverError, .every(2)), FaultRule(.notFound, .every(3))])
        #expect(
            (1...6).map { plan.fault(forRequest: $0) } == [
                nil, .serverError, .notFound, .serverError, nil, .serverError,
            ])
    }

    @Test("a probability hits its share, the same way for the same seed and another for another")
    func probability() {
        let rule = FaultRule(.serverError, .probability(0.25))
        let first = hits(FaultPlan([rule], seed: 1), 10_000)
        #expect((2300...2700).contains(first.count), "\(first.count)")
        #expect(first == hits(FaultPlan([rule], seed: 1), 10_000))
        #expect(first != hits(FaultPlan([rule], seed: 2), 10_000))
        #expect(hits(FaultPlan([FaultRule(.serverError, .probability(0))]), 1000).isEmpty)
        #expect(hits(FaultPlan([FaultRule(.serverError, .probability(1))]), 1000).count == 1000)
    }
}
