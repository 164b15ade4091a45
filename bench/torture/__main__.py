from bench.torture.program import main

raise SystemExit(main())
