/* The conversion protocol between two threads as a Promela model, for comparing the explorer's speed with spin's: a VMM makes
   a page shared (and private again, and so on, ROUNDS times), a virtual CPU touches it as private ROUNDS times. One step of
   the model is what the product does between two schedule points. Left out: refusals, 2 MiB pages, several slots, page
   contents, and all else that rampart explore has at hand because it runs the product itself.

   -DROUNDS=n   how often each thread does its part, up to 255
   -DSTALE      the known bug staleFaultMaps: a fault maps without asking whether an invalidation came in between
   -DLATE_ZAP   a second bug of the model's own: the RMP changes before the mapping is gone */

#ifndef ROUNDS
#define ROUNDS 1
#endif

/* Locks, in their order (LockRank.swift). Taking one and what happens up to the next schedule point are one step; giving it
   back is another. */
bool slots = false;      /* VirtualMachine.slotsLock */
bool backing = false;    /* VirtualMachine.backing */
bool nested = false;     /* NestedTables.lock */
bool directMap = false;  /* DirectMap.lock */
#define LOCK(l)   !l -> l = true
#define UNLOCK(l) l = false

/* The world: one guest page and the frame behind it. It is private, assigned and mapped at the start. */
bool isPrivate = true;   /* MemoryAttributes: what user space wants */
bool assigned = true;    /* the RMP entry of the frame */
bool mapped = true;      /* the nested table maps the guest page to the private frame */
bool small = true;       /* the direct map has the frame's region in 4 KiB pages */
byte claims = 0;         /* DirectMap.claims of the region */
byte brackets = 0;       /* NestedTables.active: invalidations under way */
byte sequence = 0;       /* NestedTables.sequence: invalidations that ended */

/* Invariant 1, no mapping of a private frame that is not assigned, can be broken by two steps only, and is asserted there;
   so is "an assigned frame is mapped small by the host". */
#define ASSIGN     assigned = true; assert(small)
#define UNASSIGN   assigned = false; assert(!mapped)
#define MAP        mapped = true; assert(assigned)

inline zap() {                                          /* VirtualMachine.beginInvalidation */
    atomic { LOCK(nested); brackets++ };                  /*   NestedTables.begin: the bracket opens ... */
    mapped = false;                                     /*   ... NestedTable.zap */
    UNLOCK(nested);
    atomic { LOCK(nested); skip };                      /*   flush, and NestedTables.noteFlush */
    UNLOCK(nested)
}

inline claim() {                                        /* DirectMap.claimSmallPages */
    atomic { LOCK(directMap); claims++ };
    small = true;                                       /*   DirectMapTable.split */
    UNLOCK(directMap)
}

inline release(by) {                                    /* DirectMap.release and restore: joinIfUnused */
    atomic { LOCK(directMap); claims = claims - by };
    atomic {                                            /*   the RMP is read, the mappings are joined */
        if
        :: claims == 0 && !assigned -> small = false
        :: else
        fi
    };
    UNLOCK(directMap)
}

active proctype VMM() {                                 /* KVM_SET_MEMORY_ATTRIBUTES: setMemoryAttributes, EagerPolicy */
    byte round = 0;
    do
    :: round < ROUNDS ->
        atomic { LOCK(slots); round++ };
#ifndef LATE_ZAP
        zap();
#endif
        atomic { LOCK(backing); skip };
        if
        :: isPrivate ->                                 /*   to shared: prepareShared looks at the RMP ... */
            UNASSIGN;                                   /*   ... commitShared: RMPUPDATE */
            release(0)
        :: else ->                                      /*   to private: preparePrivate ... */
            claim();
            atomic { ASSIGN };                          /*   ... commitPrivate: RMPUPDATE */
            release(1)
        fi;
#ifdef LATE_ZAP
        zap();
#endif
        atomic { LOCK(nested); isPrivate = !isPrivate };    /* store: the attribute changes */
        UNLOCK(nested);
        UNLOCK(backing);
        atomic { LOCK(nested); brackets--; sequence++ };  /*   endInvalidation: NestedTables.end */
        UNLOCK(nested);
        UNLOCK(slots)
    :: else -> break
    od
}

active proctype VCPU() {                                /* handleNestedPageFault of a private access */
    byte round = 0;
    byte seen = 0;
    bool wanted = false;
    bool isStale = false;
    do
    :: round < ROUNDS ->
        atomic { LOCK(nested); seen = sequence; wanted = isPrivate };   /* faultIn: sequence, slot, attribute */
        UNLOCK(nested);
        if
        :: !wanted -> round++                           /*   KVM_EXIT_MEMORY_FAULT */
        :: else ->
            atomic { LOCK(backing); skip };             /*   backPrivate */
            atomic { LOCK(nested); wanted = isPrivate };
            UNLOCK(nested);
            if
            :: !wanted -> UNLOCK(backing)               /*   changed meanwhile: try again */
            :: else ->
                if
                :: !assigned ->                         /*   prepare: assigned at the fault */
                    claim();
                    atomic { ASSIGN };
                    release(1)
                :: else
                fi;
                UNLOCK(backing);
                atomic {                                /*   map(_:ifStill:) */
                    LOCK(nested);
#ifdef STALE
                    isStale = false
#else
                    isStale = (brackets > 0 || sequence != seen)
#endif
                };
                if
                :: isStale -> UNLOCK(nested)            /*   try again */
                :: else ->
                    atomic { MAP };                     /*   NestedTable.map */
                    atomic { UNLOCK(nested); round++ }
                fi
            fi;
            atomic { seen = 0; wanted = false; isStale = false }    /* dead values tell no states apart */
        fi
    :: else -> break
    od
}
