from rt_pose.cli.main import main

raise SystemExit(main())
