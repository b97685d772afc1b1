package internet

// topLevel are the top-level domains in the order of their share of registered names: names that a reader knows, some of them in other scripts
// (RFC 5891).
const topLevel = `com cn net org de uk ru nl br fr eu it au pl ca jp in ir info ch es xyz online top se be us co cz at kr dk me io mx tw hk shop site
store gr ro hu za nz no fi pt tr sk ar vn id my sg th ua il cl pe ph pk ae sa lt lv ee hr si rs bg by kz uz ge am az md mn ie is lu li mc cat
biz mobi name pro tv cc ws asia tel jobs travel aero coop museum post xn--fiqs8s xn--55qx5d xn--io0a7i xn--p1ai xn--j6w193g xn--kprw13d
xn--90a3ac xn--3e0b707e xn--mgbaam7a8h xn--mgberp4a5d4ar xn--h2brj9c xn--o3cw4h xn--wgbh1c xn--ses554g xn--3ds443g xn--6qq986b3xl xn--czr694b
xn--fiq228c5hs xn--vuq861b xn--rhqv96g xn--hxt814e xn--c1avg xn--d1acj3b xn--80asehdb xn--80aswg
app dev cloud club vip wang ltd work live life world today news media agency email center company solutions services systems network digital
technology design studio photo photos pictures gallery video audio music games game fun cool rocks ninja guru expert training academy
school college university institute education science research bio health care clinic dental doctor hospital pharmacy fit fitness yoga
run bike golf football hockey tennis ski surf fish pet dog horse farm garden green eco energy solar earth land estate house homes
rent realty property villas apartments hotel hotels holiday cruise flights tours voyage taxi limo auto autos car cars parts repair
bank money cash credit loan loans fund finance financial insurance tax accountant lawyer legal law attorney consulting management
business enterprises industries international global group holdings partners ventures capital trading market markets sale deals discount
cheap bargains gift gifts toys kids baby family wedding love dating singles date party events tickets show theater film movie
food pizza cafe coffee bar pub beer wine vodka restaurant kitchen recipes catering menu diet organic
city town place zone space house directory guide wiki blog page link click site host hosting domains webcam press report review reviews
berlin london paris tokyo nyc moscow wien koeln hamburg amsterdam brussels istanbul quebec sydney melbourne boston miami vegas osaka
ac ad af ag ai al ao as bb bd bh bi bj bm bn bo bs bt bw bz cd cf cg ci ck cm cr cu cv cw cx cy dj dm do dz ec eg er et fj fk fm fo`

// topLevelCount is how many of them there are.
const topLevelCount = 300

// structure says where names are registered below a top-level domain beside directly under it: labels, and whether each is a zone of its
// own (as in br) or an empty name in the zone above (as in jp).
type structure struct {
	labels string
	zones  bool
	direct bool // names are registered directly under the top-level domain, too
}

func structures() map[string]structure {
	return map[string]structure{
		"cn": {"com net org gov edu ac", true, true}, "uk": {"co org ac gov me", false, true}, "jp": {"co ne or go ac ad", false, true},
		"br": {"com net org gov edu", true, false}, "au": {"com net org gov edu", true, true}, "tw": {"com org gov edu idv", true, true},
		"hk": {"com org gov edu", true, true}, "kr": {"co or go ac", false, true}, "za": {"co org gov ac", true, false},
		"nz": {"co org govt ac", true, true}, "in": {"co net org gov", false, true}, "tr": {"com org gov edu", false, false},
		"il": {"co org ac gov", true, false}, "th": {"co or ac go in", false, false}, "mx": {"com org gob edu", false, true},
	}
}
