from bench.peers.program import main

raise SystemExit(main())
