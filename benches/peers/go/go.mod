module phalanx-peers-go

go 1.22
