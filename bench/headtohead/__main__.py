from bench.headtohead.program import main

raise SystemExit(main())
