"""Razorpay's vocabulary for a linked account's business (Route integration guide, appendix).

The lists follow the documentation. Two categories have too many subcategories to be worth copying and take any
lower-case word: `ecommerce` and `services`.
"""

import re

BUSINESS_TYPES = {
    "proprietorship": "1",
    "individual": "2",
    "partnership": "3",
    "private_limited": "4",
    "public_limited": "5",
    "llp": "6",
    "ngo": "7",
    "educational_institutes": "8",
    "trust": "9",
    "society": "10",
    "not_yet_registered": "11",
    "other": "12",
    "huf": "13",
}
"""Name → the number under which account.* events show it."""

OWNERS_PAN_NEEDED = frozenset({"individual", "not_yet_registered"})
BUSINESS_PAPERS_OPTIONAL = OWNERS_PAN_NEEDED | {"proprietorship", "other", "huf"}
"""Types whose business PAN and GSTIN may be missing; all others need both."""

SUBCATEGORIES: dict[str, frozenset[str] | None] = {
    "ecommerce": None,
    "services": None,
    "others": None,
    **{
        category: frozenset(names.split())
        for category, names in {
            "financial_services": (
                "mutual_fund lending cryptocurrency insurance nbfc cooperatives pension_fund forex securities commodities "
                "accounting financial_advisor crowdfunding trading betting get_rich_schemes moneysend_funding "
                "wire_transfers_and_money_orders tax_preparation_services tax_payments digital_goods atms"
            ),
            "education": (
                "college schools university professional_courses distance_learning day_care coaching elearning "
                "vocational_and_trade_schools sporting_clubs dance_halls_studios_and_schools correspondence_schools"
            ),
            "healthcare": (
                "pharmacy clinic hospital lab dietician fitness health_coaching health_products drug_stores "
                "healthcare_marketplace osteopaths medical_equipment_and_supply_stores podiatrists_and_chiropodists "
                "dentists_and_orthodontists hardware_stores ophthalmologists orthopedic_goods_stores testing_laboratories "
                "doctors health_practitioners_medical_services"
            ),
            "housing": "developer facility_management rwa coworking realestate_classifieds space_rental",
            "not_for_profit": "charity educational religious personal",
            "social": (
                "matchmaking social_network messaging professional_network neighbourhood_network political_organizations "
                "automobile_associations_and_clubs country_and_athletic_clubs associations_and_membership"
            ),
            "media_and_entertainment": (
                "video_on_demand music_streaming multiplex content_and_publishing ticketing news video_game_arcades "
                "video_tape_production_and_distribution bowling_alleys billiard_and_pool_establishments "
                "amusement_parks_and_circuses ticket_agencies"
            ),
            "gaming": "game_developer esports online_casino fantasy_sports gaming_marketplace",
            "it_and_software": "saas paas iaas consulting_and_outsourcing web_development technical_support data_processing",
            "food": (
                "online_food_ordering restaurant food_court catering alcohol restaurant_search_and_booking "
                "dairy_products bakeries"
            ),
            "utilities": ("electricity gas telecom water cable broadband dth internet_provider bill_and_recharge_aggregators"),
            "government": "central state intra_government_purchases goverment_postal_services",
            "logistics": "freight courier warehousing distribution end_to_end_logistics courier_services",
            "tours_and_travel": (
                "aviation accommodation ota travel_agency tourist_attractions_and_exhibits timeshares "
                "aquariums_dolphinariums_and_seaquariums"
            ),
            "transport": (
                "cab_hailing bus train_and_metro automobile_rentals cruise_lines parking_lots_and_garages transportation "
                "bridge_and_road_tolls freight_transport truck_and_utility_trailer_rentals"
            ),
        }.items()
    },
}
"""Category → its subcategories; None: any."""
ANY_SUBCATEGORY = re.compile(r"[a-z][a-z_]*\Z")

STATES = frozenset(
    {
        "ANDAMAN & NICOBAR ISLANDS",
        "ANDAMAN AND NICOBAR ISLANDS",
        "ANDHRA PRADESH",
        "ARUNACHAL PRADESH",
        "ASSAM",
        "BIHAR",
        "CHANDIGARH",
        "CHHATTISGARH",
        "DADRA & NAGAR HAVELI",
        "DADRA AND NAGAR HAVELI",
        "DAMAN & DIU",
        "DAMAN AND DIU",
        "DELHI",
        "GOA",
        "GUJARAT",
        "HARYANA",
        "HIMACHAL PRADESH",
        "JAMMU & KASHMIR",
        "JAMMU AND KASHMIR",
        "JHARKHAND",
        "KARNATAKA",
        "KERALA",
        "LAKSHADWEEP",
        "MADHYA PRADESH",
        "MAHARASHTRA",
        "MANIPUR",
        "MEGHALAYA",
        "MIZORAM",
        "NAGALAND",
        "ODISHA",
        "PONDICHERRY",
        "PUNJAB",
        "RAJASTHAN",
        "SIKKIM",
        "TAMIL NADU",
        "TRIPURA",
        "TELANGANA",
        "UTTAR PRADESH",
        "UTTARAKHAND",
        "WEST BENGAL",
    }
)
"""States as Razorpay lists them (case does not matter in a request)."""

COMPANY_PAN = re.compile(r"[A-Za-z]{3}[CHFATBJGLchfatbjgl][A-Za-z][0-9]{4}[A-Za-z]\Z")
PERSONAL_PAN = re.compile(r"[A-Za-z]{3}[Pp][A-Za-z][0-9]{4}[A-Za-z]\Z")
GSTIN = re.compile(r"[0-3][0-9][A-Za-z]{5}[0-9]{4}[A-Za-z][0-9][A-Za-z0-9]{2}\Z")
IFSC = re.compile(r"[A-Z]{4}0[A-Z0-9]{6}\Z")
REFERENCE_ID = re.compile(r"[A-Za-z0-9._-]*\Z")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,68}\Z")
NOT_A_NAME = re.compile(r"[<>]|://|@|www\.")
"""Names may hold no links, e-mail addresses or HTML tags."""
